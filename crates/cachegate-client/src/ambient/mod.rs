//! The identity token that a CI job or a cloud machine already has: found, fetched or asked for.
//!
//! "Not here" and "here and broken" are different answers: the first lets the search go on, the second ends it and
//! says what to change in the job.

mod aws;
mod buildkite;
mod circleci;
mod gcp;
mod github;
mod gitlab;
mod semaphore;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_fetch::{Fetch, FetchError, Request, Response};
use cachegate_types::SecretText;
use serde::Deserialize;

/// The most of a token that a server reads.
const MAX_TOKEN: usize = 16 * 1024;

/// Where a job or a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI.
    GitlabCi,
    /// Buildkite.
    Buildkite,
    /// Semaphore.
    Semaphore,
    /// CircleCI.
    CircleCi,
    /// A role of Amazon Web Services.
    Aws,
    /// A service account of Google Cloud.
    Gcp,
}

impl Platform {
    /// All, in the order of the search: a job's identity says more than that of the machine it happens to run on.
    pub const ALL: [Self; 7] = [
        Self::GithubActions,
        Self::GitlabCi,
        Self::Buildkite,
        Self::Semaphore,
        Self::CircleCi,
        Self::Aws,
        Self::Gcp,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::GitlabCi => "gitlab-ci",
            Self::Buildkite => "buildkite",
            Self::Semaphore => "semaphore",
            Self::CircleCi => "circleci",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
        }
    }

    /// The platform of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == name)
    }

    /// Whether the environment says that this runs there. Nothing is asked of anybody.
    pub fn is_here(self, environment: &Environment) -> bool {
        match self {
            Self::GithubActions => environment.is_true("GITHUB_ACTIONS"),
            Self::GitlabCi => environment.is_true("GITLAB_CI"),
            Self::Buildkite => environment.is_true("BUILDKITE"),
            Self::Semaphore => environment.is_true("SEMAPHORE"),
            Self::CircleCi => environment.is_true("CIRCLECI"),
            Self::Aws => aws::is_here(environment),
            Self::Gcp => gcp::is_here(environment),
        }
    }

    /// The token for this audience, without asking whether this runs there.
    ///
    /// # Errors
    ///
    /// [`AmbientError`], which says what the job lacks.
    pub async fn token(
        self,
        audience: &str,
        surroundings: &Surroundings<'_>,
    ) -> Result<IdentityToken, AmbientError> {
        let text = match self {
            Self::GithubActions => github::token(audience, surroundings).await,
            Self::GitlabCi => gitlab::token(audience, surroundings),
            Self::Buildkite => buildkite::token(audience, surroundings).await,
            Self::Semaphore => semaphore::token(surroundings),
            Self::CircleCi => circleci::token(audience, surroundings).await,
            Self::Aws => aws::token(audience, surroundings).await,
            Self::Gcp => gcp::token(audience, surroundings).await,
        };
        let token = text.and_then(|text| IdentityToken::read(self, &text));
        token
            .and_then(|token| token.is_for(audience).map(|()| token))
            .map_err(|problem| AmbientError { platform: self, problem })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The token of the first platform that is here; `None` where none is.
///
/// # Errors
///
/// [`AmbientError`] where one is here and gives no token. The search ends there: a job must not become somebody else
/// because its own identity is set up badly.
pub async fn ambient_token(
    audience: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Option<IdentityToken>, AmbientError> {
    match Platform::ALL.into_iter().find(|platform| platform.is_here(surroundings.environment)) {
        Some(platform) => platform.token(audience, surroundings).await.map(Some),
        None => Ok(None),
    }
}

/// What the search may look at and use.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The variables of the process.
    pub environment: &'a Environment,
    /// What asks GitHub and Google.
    pub fetch: &'a dyn Fetch,
    /// What runs the command-line tools of Buildkite, CircleCI and Amazon.
    pub run: &'a dyn Run,
}

/// The variables of a process, and what its machine says of its maker. Values are secret.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, SecretText>,
    product: String,
}

impl Environment {
    /// With what the machine says of its maker: the words of `/sys/class/dmi/id/sys_vendor` and `product_name`, where
    /// they can be read. Without them the machines of Amazon and Google are known by their variables alone.
    #[must_use]
    pub fn with_product(mut self, product: &str) -> Self {
        self.product = product.to_owned();
        self
    }

    /// A variable that is set and not empty.
    fn value(&self, name: &str) -> Option<&SecretText> {
        self.variables.get(name).filter(|value| !value.expose_secret().is_empty())
    }

    fn is_true(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.expose_secret().eq_ignore_ascii_case("true"))
    }

    /// A variable that holds a secret, or the error that says how to have it set.
    fn secret(&self, variable: &str, advice: &str) -> Result<&SecretText, AmbientProblem> {
        self.value(variable).ok_or_else(|| AmbientProblem::NotSet {
            variable: variable.to_owned(),
            advice: advice.to_owned(),
        })
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name, SecretText::new(value))).collect();
        Self { variables, product: String::new() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

/// Runs a command-line tool to its end, without a shell and with nothing to read, and says what it printed.
#[async_trait]
pub trait Run: Send + Sync + fmt::Debug {
    /// # Errors
    ///
    /// Where the program could not be started.
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<RunOutput, RunError>;
}

/// What a command said.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// Whether it ended well.
    pub success: bool,
    /// What it printed; here stands the token.
    pub stdout: SecretText,
    /// What it printed beside, for people.
    pub stderr: SecretText,
}

/// A program that could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct RunError {
    /// The system's words.
    pub detail: String,
}

/// A platform's word on who runs here: a JWT, not verified by anybody yet.
#[derive(Clone, Debug)]
pub struct IdentityToken {
    platform: Platform,
    text: SecretText,
    audiences: Vec<String>,
}

impl IdentityToken {
    /// Who gave it.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The token, to be exchanged at the one server that its audience names.
    pub fn expose_secret(&self) -> &str {
        self.text.expose_secret()
    }

    fn read(platform: Platform, text: &SecretText) -> Result<Self, AmbientProblem> {
        #[derive(Deserialize)]
        struct Claims {
            aud: Option<Audience>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Audience {
            One(String),
            Many(Vec<String>),
        }
        let text = text.expose_secret().trim();
        let no_token = || AmbientProblem::NoToken { length: text.len() };
        let [header, payload, signature] = *text.split('.').collect::<Vec<_>>() else {
            return Err(no_token());
        };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| !bytes.is_empty());
        let (Some(_), Some(payload), Some(_)) = (decoded(header), decoded(payload), decoded(signature))
        else {
            return Err(no_token());
        };
        if text.len() > MAX_TOKEN {
            return Err(no_token());
        }
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| no_token())?;
        let audiences = match claims.aud {
            None => Vec::new(),
            Some(Audience::One(one)) => vec![one],
            Some(Audience::Many(many)) => many,
        };
        Ok(Self { platform, text: SecretText::new(text.to_owned()), audiences })
    }

    /// A token for somebody else is not handed over: who asked could play it there.
    fn is_for(&self, audience: &str) -> Result<(), AmbientProblem> {
        if self.audiences.iter().any(|found| found == audience) {
            return Ok(());
        }
        Err(AmbientProblem::OtherAudience { wanted: audience.to_owned(), found: self.audiences.clone() })
    }
}

/// A platform is here and gives no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this runs on {platform}, but there is no identity token")]
pub struct AmbientError {
    platform: Platform,
    #[source]
    problem: AmbientProblem,
}

impl AmbientError {
    /// Where this runs.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// What is wrong.
    pub fn problem(&self) -> &AmbientProblem {
        &self.problem
    }
}

/// What keeps a platform from giving a token, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmbientProblem {
    /// A variable that holds the token, or leads to it, is not set.
    #[error("`{variable}` is not set: {advice}")]
    NotSet {
        /// Its name.
        variable: String,
        /// What sets it.
        advice: String,
    },
    /// A variable does not hold an address that a secret may be sent to.
    #[error("`{variable}` holds no `https://` address")]
    Address {
        /// Its name.
        variable: &'static str,
    },
    /// The platform could not be asked.
    #[error("the platform could not be asked")]
    Fetch {
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The platform refused.
    #[error("the platform answered {status}: {advice}")]
    Status {
        /// The status of its answer.
        status: u16,
        /// What it means most often.
        advice: &'static str,
    },
    /// The platform's answer is none that is known.
    #[error("the answer is not that of the platform: is something between it and this job?")]
    Answer,
    /// The platform's command could not be started.
    #[error(
        "`{program}` could not be started ({detail}): install it in the job's image, or put it on the `PATH`"
    )]
    NotStarted {
        /// The command.
        program: &'static str,
        /// The system's words.
        detail: String,
    },
    /// The platform's command failed.
    #[error("`{program}` failed, saying `{said}`: {advice}")]
    Failed {
        /// The command.
        program: &'static str,
        /// The start of what it said, without what could be a secret.
        said: String,
        /// What it means most often.
        advice: &'static str,
    },
    /// What was found is no JWT.
    #[error("what the platform gave, {length} bytes, is no JSON Web Token")]
    NoToken {
        /// Its length in bytes.
        length: usize,
    },
    /// The token is for another server.
    #[error(
        "the token is for {found:?} and not for `{wanted}`: set the audience of the job's token to `{wanted}`"
    )]
    OtherAudience {
        /// The audience that was asked for.
        wanted: String,
        /// The token's.
        found: Vec<String>,
    },
}

/// Fetches, and takes nothing but a 200.
async fn fetched(
    request: &Request,
    surroundings: &Surroundings<'_>,
    advice: &'static str,
) -> Result<Response, AmbientProblem> {
    let answer = surroundings.fetch.fetch(request).await;
    let response = answer.map_err(|source| AmbientProblem::Fetch { source })?;
    match response.status() {
        200 => Ok(response),
        status => Err(AmbientProblem::Status { status, advice }),
    }
}

/// Runs a command, and gives what it printed.
async fn printed(
    program: &'static str,
    arguments: &[&str],
    surroundings: &Surroundings<'_>,
    advice: &'static str,
) -> Result<SecretText, AmbientProblem> {
    let output = surroundings
        .run
        .run(program, arguments)
        .await
        .map_err(|RunError { detail }| AmbientProblem::NotStarted { program, detail })?;
    if output.success {
        return Ok(output.stdout);
    }
    Err(AmbientProblem::Failed { program, said: harmless(output.stderr.expose_secret()), advice })
}

/// The first line, shortened, without words that could be a secret: long, and more than letters.
fn harmless(said: &str) -> String {
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let letters =
        |word: &str| word.chars().all(|letter| letter.is_ascii_alphabetic() || "():,'`".contains(letter));
    let word = |word: &str| match word.len() {
        0..=24 => word.to_owned(),
        25..=64 if letters(word) => word.to_owned(),
        _ => "[..]".to_owned(),
    };
    let words: Vec<String> = line.split_whitespace().take(30).map(word).collect();
    words.join(" ").chars().filter(|character| !character.is_control()).collect()
}

/// All but RFC 3986's unreserved characters as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
