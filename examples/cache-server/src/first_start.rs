//! What the first start makes and prints: a secret goes to a terminal alone, otherwise to a file that only its owner
//! reads, whose place is printed.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use cachegate_types::SecretText;

use crate::config::Config;
use crate::server::Server;

/// The file that keeps the administrator's token.
pub(crate) const ADMINISTRATOR: &str = "administrator.token";
/// The file that keeps what to paste, where standard output is no terminal.
const NX_ENV: &str = "nx.env";

/// Tells where the server listens, and on the first start what to paste into Nx.
///
/// # Errors
///
/// When the lines cannot be written to standard output or to their file.
pub fn announce(
    config: &Config,
    server: &Server,
    address: SocketAddr,
    ci_token: Option<&SecretText>,
    out: &mut (impl Write + IsTerminal),
) -> io::Result<()> {
    let url = format!("http://{address}/{}/{}", config.organization, config.workspace);
    writeln!(out, "listening on http://{address}, data in {}", config.data.display())?;
    writeln!(
        out,
        "workspace {}/{}, id {}",
        config.organization,
        config.workspace,
        server.default_workspace()
    )?;
    let administrator = config.data.join(ADMINISTRATOR);
    if administrator.exists() {
        writeln!(
            out,
            "administrator's token: in {} (lost it? `cache-server recover`)",
            administrator.display()
        )?;
    }
    let env = config.data.join(NX_ENV);
    match ci_token {
        Some(token) => {
            let lines = format!(
                "export NX_SELF_HOSTED_REMOTE_CACHE_SERVER={url}\n\
                 export NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN={}\n",
                token.expose_secret()
            );
            if out.is_terminal() {
                writeln!(out, "\nPaste this where Nx runs; the token is shown this once:\n\n{lines}")?;
            } else {
                write_secret(&env, &lines)?;
                writeln!(out, "for Nx: `. {}`", env.display())?;
            }
        }
        None if env.exists() => writeln!(out, "for Nx: `. {}`", env.display())?,
        None => writeln!(
            out,
            "for Nx: export NX_SELF_HOSTED_REMOTE_CACHE_SERVER={url} and a token of `cache-server token create`"
        )?,
    }
    out.flush()
}

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
