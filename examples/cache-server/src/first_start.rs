//! What the first start makes and prints: a secret goes to a terminal alone, otherwise to a file that only its owner
//! reads, whose place is printed.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use cachegate_http::browser::Sessions;
use cachegate_types::SecretText;

use crate::config::Config;
use crate::server::Server;

/// The file that keeps the administrator's token.
pub(crate) const ADMINISTRATOR: &str = "administrator.token";
/// What one client is told.
struct Paste {
    client: &'static str,
    /// The file that keeps it, where standard output is no terminal.
    file: &'static str,
    /// How the file is used.
    usage: &'static str,
    text: String,
}

/// What each client is told of the cache below `http://{address}/{place}`.
fn pastes(address: SocketAddr, config: &Config, token: &str) -> [Paste; 5] {
    let organization = &config.organization;
    let place = format!("{address}/{organization}/{}", config.workspace);
    [
        Paste {
            client: "Nx",
            file: "nx.env",
            usage: ". FILE",
            text: format!(
                "export NX_SELF_HOSTED_REMOTE_CACHE_SERVER=http://{place}\n\
                 export NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN={token}\n"
            ),
        },
        Paste {
            client: "Turborepo",
            file: "turborepo.env",
            usage: ". FILE",
            text: format!(
                "export TURBO_API=http://{place}\nexport TURBO_TEAM={organization}\nexport TURBO_TOKEN={token}\n"
            ),
        },
        Paste {
            client: "ccache",
            file: "ccache.env",
            usage: ". FILE",
            text: format!("export CCACHE_REMOTE_STORAGE='http://{place}/ccache|bearer-token={token}'\n"),
        },
        Paste {
            client: "Bazel",
            file: "cache.bazelrc",
            usage: "bazel --bazelrc=FILE",
            text: format!("build --remote_cache=http://ci:{token}@{place}/bazel\n"),
        },
        Paste {
            client: "Gradle",
            file: "cache.gradle",
            usage: "apply from: 'FILE', in settings.gradle",
            text: format!(
                "buildCache {{ remote(HttpBuildCache) {{\n    url = 'http://{place}/gradle/'\n    \
                 allowInsecureProtocol = true\n    push = true\n    \
                 credentials {{ username = 'ci'; password = '{token}' }}\n}} }}\n"
            ),
        },
    ]
}

/// Tells where the server listens and what to paste into each client; the last line is `ready`.
///
/// # Errors
///
/// When the lines cannot be written to standard output or to their files.
pub fn announce(
    config: &Config,
    server: &Server,
    address: SocketAddr,
    ci_token: Option<&SecretText>,
    out: &mut (impl Write + IsTerminal),
) -> io::Result<()> {
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
    if Sessions::new(server.gate().clone()).is_safe() {
        writeln!(out, "web pages: sign in at {}/login", server.gate().issuer())?;
    }
    let token = ci_token.map(SecretText::expose_secret);
    let pastes = pastes(address, config, token.unwrap_or("TOKEN"));
    let in_files = match token {
        Some(_) if out.is_terminal() => false,
        Some(_) => {
            for paste in &pastes {
                write_secret(&config.data.join(paste.file), &paste.text)?;
            }
            true
        }
        None => pastes.iter().all(|paste| config.data.join(paste.file).exists()),
    };
    if in_files {
        for Paste { client, file, usage, .. } in &pastes {
            let file = config.data.join(file);
            writeln!(out, "for {client}: {}", usage.replace("FILE", &file.display().to_string()))?;
        }
    } else {
        let whose = match token {
            Some(_) => "the token is shown this once",
            None => "`cache-server token create` makes a TOKEN",
        };
        writeln!(out, "\nPaste what your client needs; {whose}.")?;
        for Paste { client, text, .. } in &pastes {
            write!(out, "\n# {client}\n{text}")?;
        }
    }
    writeln!(out, "ready")?;
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
