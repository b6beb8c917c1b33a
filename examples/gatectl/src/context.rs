//! What a command works with: the clock, the user's folders, the server, the token.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cachegate_client::{
    BoundToken, Environment, FileTokens, NetrcFile, Origin, Server, Surroundings, TokenStore,
};
use cachegate_fetch::{Client, ClientBuilder, Fetch};
use cachegate_token::Brand;
use cachegate_types::{SecretText, Timestamp};
use etcetera::BaseStrategy;

use crate::cli::Global;
use crate::failure::{Failed, Status};
use crate::nix_conf::NixConf;
use crate::run::Processes;

/// The longest token that is read from a file or pasted.
const LONGEST_TOKEN: u64 = 16 * 1024;

/// What is renewed before it is used: a request may take as long as this.
const MARGIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    home: PathBuf,
    config: PathBuf,
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = i64::try_from(seconds).ok();
    seconds.and_then(|seconds| Timestamp::from_unix_seconds(seconds).ok()).unwrap_or(Timestamp::MAX)
}

impl Context {
    pub(crate) fn new(global: Global) -> Result<Self, Failed> {
        let folders = etcetera::choose_base_strategy()
            .map_err(|_| Failed::usage("this user has no home folder", "set HOME"))?;
        Ok(Self { global, home: folders.home_dir().to_owned(), config: folders.config_dir() })
    }

    /// The tokens of earlier logins.
    pub(crate) fn tokens(&self) -> FileTokens {
        FileTokens::new(self.tokens_path())
    }

    pub(crate) fn tokens_path(&self) -> PathBuf {
        self.config.join("cachegate").join("tokens.json")
    }

    pub(crate) fn nix_conf(&self) -> NixConf {
        NixConf::new(self.config.join("nix").join("nix.conf"))
    }

    /// The netrc file that the tools of this user read: the one named here, the one that Nix is told of, the one that
    /// `NETRC` names, or the usual one.
    pub(crate) fn netrc(&self, named: Option<&Path>) -> Result<NetrcFile, Failed> {
        let path = match named {
            Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            None => match (self.nix_conf().netrc_file()?, std::env::var_os("NETRC")) {
                (Some(path), _) => path,
                (None, Some(path)) if !path.is_empty() => path.into(),
                (None, _) => self.home.join(".netrc"),
            },
        };
        Ok(NetrcFile::new(path, Brand::default()))
    }

    /// The server: the one that was named, or the only one that there is a token for.
    pub(crate) fn origin(&self) -> Result<Origin, Failed> {
        if let Some(origin) = &self.global.server {
            return Ok(origin.clone());
        }
        match self.tokens().origins()?.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failed::new(
                Status::Unauthenticated,
                "not_logged_in",
                "you are not logged in to any server",
                "run `gatectl login --server URL`",
            )),
            several => {
                let names: Vec<_> = several.iter().map(Origin::as_str).collect();
                Err(Failed::usage(
                    format!("you are logged in to several servers: {}", names.join(", ")),
                    "say which with `--server URL`",
                ))
            }
        }
    }

    /// What fetches from this server, and from the platform that this runs on. The person named the server, so it may
    /// be inside their own network.
    pub(crate) fn fetch(&self, origin: &Origin) -> Result<Arc<dyn Fetch>, Failed> {
        let mut builder = Client::builder().with_private_host(origin.host().as_str());
        if origin.as_str().starts_with("http://") {
            builder = builder.dangerous_allow_loopback_http();
        }
        Self::built(builder)
    }

    /// What asks the platform that this runs on who this is.
    pub(crate) fn platform_fetch(&self) -> Result<Arc<dyn Fetch>, Failed> {
        Self::built(Client::builder())
    }

    fn built(builder: ClientBuilder) -> Result<Arc<dyn Fetch>, Failed> {
        let client = builder.dangerous_allow_google_metadata().build();
        let client = client.map_err(|error| {
            Failed::new(
                Status::Unavailable,
                "no_client",
                error.to_string(),
                "install root certificates, or set SSL_CERT_FILE",
            )
        })?;
        Ok(Arc::new(client))
    }

    /// The server, without a token.
    pub(crate) fn anonymous(&self, origin: &Origin) -> Result<Server, Failed> {
        Ok(Server::new(origin.clone(), self.fetch(origin)?)?)
    }

    /// The server, with the token that was named or stored.
    pub(crate) async fn server(&self) -> Result<Server, Failed> {
        let origin = self.origin()?;
        let server = self.anonymous(&origin)?;
        let token = self.token(&server).await?;
        Ok(server.with_token(token)?)
    }

    /// The token for this server: the one that was named, or the one of an earlier login, renewed where it is time.
    pub(crate) async fn token(&self, server: &Server) -> Result<BoundToken, Failed> {
        if let Some(path) = &self.global.token_file {
            return Ok(BoundToken::new(server.origin().clone(), read_token(path)?));
        }
        let held = self.tokens().token(server.origin())?.ok_or_else(|| not_logged_in(server.origin()))?;
        if held.ends_within(MARGIN, now()) && held.refresh_for(server.origin()).is_some() {
            return self.renew(server, MARGIN).await;
        }
        Ok(held)
    }

    /// Renews the stored session. What renews it counts once, so that one process at a time does this, and the others
    /// find what it stored.
    pub(crate) async fn renew(&self, server: &Server, margin: Duration) -> Result<BoundToken, Failed> {
        let lock = self.tokens_path().with_extension("renewal-lock");
        let failed = |error: io::Error| {
            let what = format!("`{}` could not be locked: {error}", lock.display());
            Failed::new(Status::Refused, "lock", what, "check the permissions of its folder")
        };
        let file = File::options().create(true).truncate(false).write(true).open(&lock).map_err(failed)?;
        file.lock().map_err(failed)?;
        let tokens = self.tokens();
        let held = tokens.token(server.origin())?.ok_or_else(|| {
            Failed::new(
                Status::Unauthenticated,
                "not_logged_in",
                "somebody logged out in the meantime",
                "log in again",
            )
        })?;
        if !held.ends_within(margin, now()) {
            return Ok(held);
        }
        match server.refresh(&held, now()).await? {
            None => Ok(held),
            Some(renewed) => {
                tokens.put(&renewed)?;
                Ok(renewed)
            }
        }
    }
}

/// There is no token for this server.
pub(crate) fn not_logged_in(origin: &Origin) -> Failed {
    Failed::new(
        Status::Unauthenticated,
        "not_logged_in",
        format!("you are not logged in to {origin}"),
        format!("run `gatectl login --server {origin}`"),
    )
}

/// What the search for a job's identity may look at.
pub(crate) fn environment() -> Environment {
    let product = ["sys_vendor", "product_name"]
        .map(|name| std::fs::read_to_string(Path::new("/sys/class/dmi/id").join(name)).unwrap_or_default());
    // A variable that is no text holds no token.
    let variables = std::env::vars_os();
    let variables =
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    variables.collect::<Environment>().with_product(product.concat().trim())
}

pub(crate) fn surroundings<'a>(environment: &'a Environment, fetch: &'a dyn Fetch) -> Surroundings<'a> {
    Surroundings { environment, fetch, run: &Processes }
}

/// A token from a file, or from standard input.
pub(crate) fn read_token(path: &Path) -> Result<SecretText, Failed> {
    let place =
        if path == Path::new("-") { "standard input".to_owned() } else { format!("`{}`", path.display()) };
    let failed =
        |error: io::Error| Failed::usage(format!("{place} could not be read: {error}"), "check its name");
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(LONGEST_TOKEN + 1).read_to_string(&mut text)
    } else {
        File::open(path).map_err(failed)?.take(LONGEST_TOKEN + 1).read_to_string(&mut text)
    };
    read.map_err(failed)?;
    token_of(&SecretText::new(text), &place)
}

/// One token, and nothing else: what is no header value would be refused far from here, with other words.
pub(crate) fn token_of(text: &SecretText, place: &str) -> Result<SecretText, Failed> {
    let text = text.expose_secret().trim();
    let advice = "give it the token alone, as it was shown when it was made";
    if text.is_empty() {
        return Err(Failed::usage(format!("{place} holds no token"), advice));
    }
    if text.len() as u64 > LONGEST_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failed::usage(format!("{place} holds more than a token"), advice));
    }
    match cachegate_token::check(text, &Brand::default()) {
        cachegate_token::Checked::BadChecksum | cachegate_token::Checked::NotCanonical => Err(Failed::usage(
            format!("the token in {place} was mistyped: its checksum is wrong"),
            "copy it again, whole",
        )),
        cachegate_token::Checked::Malformed => Err(Failed::usage(
            format!("the token in {place} is cut off, or more than a token: it has {} bytes", text.len()),
            "copy it again, whole",
        )),
        _ => Ok(SecretText::new(text.to_owned())),
    }
}
