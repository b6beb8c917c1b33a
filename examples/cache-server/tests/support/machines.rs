//! Tokens of machines.

use cache_server::now;
use cachegate::{Authority, DeviceAccess, TokenSpec};
use cachegate_types::{Description, OrganizationId};

use crate::host::Host;

impl Host {
    pub(crate) fn organization(&self) -> OrganizationId {
        let workspace = self.server.default_workspace();
        let found = self.runtime.block_on(self.server.storage().workspace(workspace)).expect("read");
        found.expect("a workspace").organization
    }

    pub(crate) fn device(&self, access: DeviceAccess) -> String {
        let spec = TokenSpec::Device { organization: self.organization(), access };
        let gate = self.server.gate();
        let issued = gate.issue(&Authority::Operator, &spec, Description::default(), None, now());
        self.runtime.block_on(issued).expect("a token").token.expose_secret().to_owned()
    }
}
