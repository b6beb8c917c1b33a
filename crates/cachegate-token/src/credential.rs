//! Credentials: what a request carries, parsed and not yet believed.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest;
use zeroize::Zeroizing;

use cachegate_types::{SecretText, TokenId, WorkspaceId};

use crate::digest::to_array;
use crate::{Brand, OpaqueError, OpaqueKind, OpaqueToken};

/// The longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// The longest header value that is looked at, in bytes: the longest token behind a login of 2,000 bytes, in Base64.
const MAX_VALUE_LENGTH: usize = 24 * 1024;

/// How far a text that is no token is searched for the reason, in bytes: an opaque token and most JWTs are shorter. What
/// is refused costs its sender more than it costs here.
const TELLING_LENGTH: usize = 1024;

const AUTHORIZATION: &str = "authorization";
const NX_CLOUD_ID: &str = "nx-cloud-id";
const NX_CLOUD_TOKEN: &str = "nx-cloud-personal-access-token";

/// What a request carries to say who sends it, parsed and not yet believed.
///
/// Each form has exactly one verifier. The text is borrowed from the request where that is possible, and nothing shows
/// it.
#[derive(Clone, Debug)]
pub enum Credential<'a> {
    /// One of this brand's opaque tokens.
    Opaque(OpaqueToken),
    /// One of this brand's JWTs: what stands behind the prefix.
    IssuedJwt(JwtText<'a>),
    /// A JWT without this brand's prefix: a platform's own, for federation.
    ForeignJwt(JwtText<'a>),
    /// Nx Cloud's pair of headers: a personal token, and the public id of the workspace that the client works in.
    NxCloud {
        /// The workspace that the client named. The name grants nothing.
        workspace: WorkspaceId,
        /// The personal token.
        token: OpaqueToken,
    },
}

impl<'a> Credential<'a> {
    /// The longest token that is looked at, in bytes.
    pub const MAX_LENGTH: usize = MAX_TOKEN_LENGTH;

    /// The one credential among a request's header fields, given as names and values in any order; `None` when there
    /// is none. Names are compared in either case, and other fields are passed over.
    ///
    /// Read are `Authorization`, as [`Credential::bearer_header`] does, and Nx Cloud's `Nx-Cloud-Personal-Access-Token`
    /// with `Nx-Cloud-Id`. The id alone is no credential: it is public and grants nothing.
    ///
    /// # Errors
    ///
    /// A field that is there twice, a token in both places, and whatever is no credential: none of it becomes
    /// anonymous.
    pub fn from_fields<'n>(
        fields: impl IntoIterator<Item = (&'n str, &'a [u8])>,
        brand: &Brand,
    ) -> Result<Option<Self>, CredentialError> {
        let [mut authorization, mut id, mut token] = [None; 3];
        for (name, value) in fields {
            let (place, field) = if name.eq_ignore_ascii_case(AUTHORIZATION) {
                (&mut authorization, AUTHORIZATION)
            } else if name.eq_ignore_ascii_case(NX_CLOUD_ID) {
                (&mut id, NX_CLOUD_ID)
            } else if name.eq_ignore_ascii_case(NX_CLOUD_TOKEN) {
                (&mut token, NX_CLOUD_TOKEN)
            } else {
                continue;
            };
            if place.replace(value).is_some() {
                return Err(CredentialError::Ambiguous(Ambiguity::DoubledField { field }));
            }
        }
        let bearer = match authorization {
            Some(value) => Self::bearer_header(value, brand)?,
            None => None,
        };
        let pair = match token {
            Some(token) => Self::nx_cloud_headers(id.unwrap_or_default(), token, brand)?,
            None => None,
        };
        match (bearer, pair) {
            (Some(_), Some(_)) => Err(CredentialError::Ambiguous(Ambiguity::TwoCredentials)),
            (bearer, pair) => Ok(bearer.or(pair)),
        }
    }

    /// Reads the value of one `Authorization` header (RFC 9110, section 11.6.2): `Bearer` with the token (RFC 6750,
    /// section 2.1), or `Basic` with the token as the password (RFC 7617, section 2), split at the first `:`, the login
    /// ignored. The scheme counts in either case.
    ///
    /// A scheme with nothing behind it and an empty password are no credential: `None`, which matches nothing.
    ///
    /// # Errors
    ///
    /// Whatever else is not exactly one credential.
    pub fn bearer_header(value: &'a [u8], brand: &Brand) -> Result<Option<Self>, CredentialError> {
        if value.len() > MAX_VALUE_LENGTH {
            return Err(CredentialError::TooLarge { length: value.len() });
        }
        let beginning = value.get(..TELLING_LENGTH).unwrap_or(value);
        let end = beginning.iter().position(|byte| *byte == b' ').unwrap_or(beginning.len());
        let (scheme, rest) = value.split_at_checked(end).unwrap_or_default();
        let gap = rest.get(..TELLING_LENGTH).unwrap_or(rest);
        let spaces = gap.iter().position(|byte| *byte != b' ').unwrap_or(gap.len());
        let (_, token) = rest.split_at_checked(spaces).unwrap_or_default();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return match token {
                [] => Ok(None),
                token => Self::parse_bytes(token, brand).map(Some),
            };
        }
        if scheme.eq_ignore_ascii_case(b"basic") {
            return match token {
                [] => Ok(None),
                token => Self::basic(token, brand),
            };
        }
        if let Some(position) = beginning.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(CredentialError::InvisibleByte { position });
        }
        // A list of schemes, as a proxy makes of two headers, has its comma in the first word at the earliest.
        match scheme {
            [] => Err(CredentialError::Malformed),
            scheme if scheme.contains(&b',') => Err(CredentialError::Ambiguous(Ambiguity::List)),
            _ => Err(CredentialError::UnknownScheme),
        }
    }

    /// Reads one token's text, however it travelled. Nothing is trimmed: the text is the token and no more.
    ///
    /// # Errors
    ///
    /// [`CredentialError::UnknownFormat`] when the text has no token's form; the others name what is wrong with one
    /// that has.
    pub fn parse(text: &'a str, brand: &Brand) -> Result<Self, CredentialError> {
        Self::parse_bytes(text.as_bytes(), brand)
    }

    /// The stable name of the form.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opaque(_) => "opaque",
            Self::IssuedJwt(_) => "issued_jwt",
            Self::ForeignJwt(_) => "foreign_jwt",
            Self::NxCloud { .. } => "nx_cloud",
        }
    }

    /// The public id, where the text itself carries one.
    pub const fn public_id(&self) -> Option<TokenId> {
        match self {
            Self::Opaque(token) | Self::NxCloud { token, .. } => Some(token.id()),
            Self::IssuedJwt(_) | Self::ForeignJwt(_) => None,
        }
    }

    /// What a cache of verified credentials is keyed by: SHA-256 over all of the credential, its form, and the verifier
    /// that vouches for it. Two credentials that differ anywhere, or two verifiers, share no key. Allocates nothing.
    ///
    /// A hit says that this verifier once believed this text, not that it still would: expiry, revocation and policy
    /// are asked again.
    pub fn cache_digest(&self, verifier_id: &[u8]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        // Few and long parts: each costs a call, which a short token notices.
        let mut mark = *b"cgcred1\0\0\0\0\0\0\0\0";
        let length = u64::try_from(verifier_id.len()).unwrap_or(u64::MAX).to_be_bytes();
        mark.iter_mut().skip(7).zip(length).for_each(|(to, from)| *to = from);
        context.update(&mark);
        context.update(verifier_id);
        // Behind the tag every part but the last has a fixed length. An opaque token has one text, so its parts stand
        // for it.
        match self {
            Self::Opaque(token) => {
                context.update(&[b'o', token.kind().byte()]);
                update_with_token(&mut context, token);
            }
            Self::IssuedJwt(text) => {
                context.update(b"i");
                context.update(text.as_bytes());
            }
            Self::ForeignJwt(text) => {
                context.update(b"f");
                context.update(text.as_bytes());
            }
            Self::NxCloud { workspace, token } => {
                context.update(b"n");
                context.update(&workspace.to_bytes());
                context.update(&[token.kind().byte()]);
                update_with_token(&mut context, token);
            }
        }
        to_array(context.finish().as_ref())
    }

    /// The same credential with a text of its own, for whoever must keep it longer than the request.
    pub fn into_owned(self) -> Credential<'static> {
        match self {
            Self::Opaque(token) => Credential::Opaque(token),
            Self::IssuedJwt(text) => Credential::IssuedJwt(text.into_owned()),
            Self::ForeignJwt(text) => Credential::ForeignJwt(text.into_owned()),
            Self::NxCloud { workspace, token } => Credential::NxCloud { workspace, token },
        }
    }

    /// What stands behind `Basic`.
    fn basic(encoded: &[u8], brand: &Brand) -> Result<Option<Self>, CredentialError> {
        let mut buffer = Zeroizing::new(vec![0; base64::decoded_len_estimate(encoded.len())]);
        let length = BASE64_STANDARD
            .decode_slice(encoded, &mut buffer)
            .map_err(|_| never_in_a_token(encoded).unwrap_or(CredentialError::MalformedBasic))?;
        let mut parts = buffer.get(..length).unwrap_or_default().splitn(2, |byte| *byte == b':');
        match (parts.next(), parts.next()) {
            (_, Some([])) => Ok(None),
            (_, Some(password)) => Ok(Some(Credential::parse_bytes(password, brand)?.into_owned())),
            (_, None) => Err(CredentialError::MalformedBasic),
        }
    }

    /// Nx Cloud's pair.
    fn nx_cloud_headers(id: &[u8], token: &[u8], brand: &Brand) -> Result<Option<Self>, CredentialError> {
        if token.is_empty() {
            return Ok(None);
        }
        let token = match Credential::parse_bytes(token, brand)? {
            Credential::Opaque(token) if token.kind() == OpaqueKind::Personal => token,
            Credential::Opaque(_)
            | Credential::IssuedJwt(_)
            | Credential::ForeignJwt(_)
            | Credential::NxCloud { .. } => return Err(CredentialError::WrongKind),
        };
        if id.is_empty() {
            return Err(CredentialError::MissingWorkspace);
        }
        if id.contains(&b',') {
            return Err(CredentialError::Ambiguous(Ambiguity::List));
        }
        let workspace = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
        match workspace {
            Some(workspace) => Ok(Some(Self::NxCloud { workspace, token })),
            None => Err(CredentialError::MalformedWorkspace),
        }
    }

    fn parse_bytes(text: &'a [u8], brand: &Brand) -> Result<Self, CredentialError> {
        if text.len() > MAX_TOKEN_LENGTH {
            return Err(CredentialError::TooLarge { length: text.len() });
        }
        // What no token holds is looked for when there is no token: a good one is read only once.
        Self::parse_form(text, brand).map_err(|error| never_in_a_token(text).unwrap_or(error))
    }

    /// Chooses by the prefix, or by the two dots of a JWT, the one form that the text can have.
    fn parse_form(text: &'a [u8], brand: &Brand) -> Result<Self, CredentialError> {
        if let Some(jwt) = text.strip_prefix(brand.jwt_prefix().as_bytes()) {
            return JwtText::parse(jwt).map(Self::IssuedJwt).map_err(|_| CredentialError::MalformedJwt);
        }
        if let Some([b'0'..=b'9', b'_', ..]) = text.strip_prefix(brand.as_str().as_bytes()) {
            return Err(CredentialError::UnknownVersion);
        }
        match OpaqueToken::parse_bytes(text, brand) {
            Ok(token) => Ok(Self::Opaque(token)),
            Err(OpaqueError::NotOurs) => JwtText::parse(text).map(Self::ForeignJwt),
            Err(error) => Err(CredentialError::Opaque(error)),
        }
    }
}

fn update_with_token(context: &mut digest::Context, token: &OpaqueToken) {
    context.update(&token.id().to_bytes());
    context.update(token.secret().expose_secret());
}

/// What is worth telling apart among texts that are no token: a byte that nobody sees, and a list.
///
/// Only the beginning is looked at, which holds the first token of most lists and bounds what junk can cost. Further
/// behind, the text is refused as what it is besides.
fn never_in_a_token(text: &[u8]) -> Option<CredentialError> {
    let beginning = text.get(..TELLING_LENGTH).unwrap_or(text);
    // All visible, no blank and no comma: a loop that the compiler does many bytes at a time.
    if beginning.iter().fold(true, |usual, byte| usual & (byte.wrapping_sub(b'!') < 94) & (*byte != b',')) {
        return None;
    }
    if let Some(position) = beginning.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
        return Some(CredentialError::InvisibleByte { position });
    }
    if beginning.contains(&b',') {
        return Some(CredentialError::Ambiguous(Ambiguity::List));
    }
    let position = beginning.iter().position(|byte| *byte == b' ')?;
    Some(CredentialError::InvisibleByte { position })
}

/// A text that looks like a JWT from outside (RFC 7515, section 3.1): three parts of base64url, none empty, two dots.
/// What the parts hold nobody has looked at.
#[derive(Clone)]
pub struct JwtText<'a>(Text<'a>);

#[derive(Clone)]
enum Text<'a> {
    /// Base64url and dots: [`JwtText::parse`] has seen every byte.
    Borrowed(&'a [u8]),
    Owned(SecretText),
}

impl<'a> JwtText<'a> {
    /// The compact serialization, for the codec that verifies it; never for a log, an error or a comparison.
    pub fn expose_secret(&self) -> &str {
        match &self.0 {
            Text::Borrowed(text) => std::str::from_utf8(text).unwrap_or_default(),
            Text::Owned(text) => text.expose_secret(),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Borrowed(text) => text,
            Text::Owned(text) => text.expose_secret().as_bytes(),
        }
    }

    fn parse(text: &'a [u8]) -> Result<Self, CredentialError> {
        match survey(text) {
            (true, 2) if !has_empty_part(text) => Ok(Self(Text::Borrowed(text))),
            (_, 0) => Err(CredentialError::UnknownFormat),
            _ => Err(CredentialError::MalformedJwt),
        }
    }

    fn into_owned(self) -> JwtText<'static> {
        JwtText(Text::Owned(match self.0 {
            Text::Borrowed(_) => SecretText::new(self.expose_secret().to_owned()),
            Text::Owned(text) => text,
        }))
    }
}

/// Whether one of the three parts that two dots make is empty.
fn has_empty_part(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    match (parts.next(), parts.next()) {
        (Some([_, ..]), Some([second, .., last])) => *second == b'.' || *last == b'.',
        _ => true,
    }
}

/// Whether all bytes are base64url or dots, and how many dots there are, as far as it took to see that this is no JWT.
///
/// In blocks of a fixed size and without an early end inside one: a loop that the compiler does many bytes at a time.
/// Every request with a JWT pays for this one.
fn survey(text: &[u8]) -> (bool, usize) {
    let (blocks, rest) = text.as_chunks::<64>();
    let mut dots = 0;
    for block in blocks {
        let (plain, dots_here) = survey_block(block);
        dots += dots_here;
        if !plain || dots > 2 {
            return (plain, dots);
        }
    }
    let (plain, dots_here) = survey_block(rest);
    (plain, dots + dots_here)
}

/// The same for at most 255 bytes.
#[inline(always)]
fn survey_block(block: &[u8]) -> (bool, usize) {
    let (mut strange, mut dots) = (0_u8, 0_u8);
    for byte in block {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        // From `-` over `.` and `/` to `9`.
        let other = (byte.wrapping_sub(b'-') < 13) & (*byte != b'/');
        strange |= u8::from(!(letter | other | (*byte == b'_')));
        dots = dots.wrapping_add(u8::from(*byte == b'.'));
    }
    (strange == 0, usize::from(dots))
}

/// Shows the length alone.
impl fmt::Debug for JwtText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtText({} bytes)", self.as_bytes().len())
    }
}

/// Why what a request carries is no credential. It is never anonymous, and never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Longer than any token may be; nothing of it was read.
    #[error("the credential has {length} bytes: a token has at most 16384")]
    TooLarge {
        /// The length found, in bytes.
        length: usize,
    },
    /// A byte that is not visible ASCII: a blank, a line end, a NUL, a letter beyond ASCII.
    #[error("the byte at {position} is not visible ASCII")]
    InvisibleByte {
        /// Where it stands, in bytes from the start of the value, or of the token where one was found.
        position: usize,
    },
    /// An `Authorization` header without a scheme.
    #[error("an `Authorization` header begins with its scheme, `Bearer` or `Basic`")]
    Malformed,
    /// A scheme that is neither `Bearer` nor `Basic`.
    #[error("the scheme of the `Authorization` header is neither `Bearer` nor `Basic`")]
    UnknownScheme,
    /// More than one credential, so that nobody can tell which is meant.
    #[error("more than one credential: {0}")]
    Ambiguous(Ambiguity),
    /// `Basic` with something behind it that is not canonical Base64 of a login, `:` and a password.
    #[error("behind `Basic` stands no Base64 of a login, `:` and the token as password")]
    MalformedBasic,
    /// `Nx-Cloud-Personal-Access-Token` without `Nx-Cloud-Id`.
    #[error("a token in `Nx-Cloud-Personal-Access-Token` needs the workspace's id in `Nx-Cloud-Id`")]
    MissingWorkspace,
    /// `Nx-Cloud-Id` beside a token holds no workspace's id.
    #[error("`Nx-Cloud-Id` holds no id of a workspace")]
    MalformedWorkspace,
    /// Something else than an opaque personal token in `Nx-Cloud-Personal-Access-Token`.
    #[error("`Nx-Cloud-Personal-Access-Token` takes an opaque personal token alone")]
    WrongKind,
    /// A credential in the URL, where logs and histories keep it; none is ever read from there.
    #[error(
        "a credential in the URL is refused: send it in the `Authorization` header, and replace it, as it was logged"
    )]
    InUrl,
    /// No token's form: not mine, and not for anybody else here.
    #[error("not a token in any form that is known here")]
    UnknownFormat,
    /// This brand's prefix with the digit of a version that is not known.
    #[error("the token is of a version that is not known here")]
    UnknownVersion,
    /// Behind this brand's prefix, or with a dot in it, and not three parts of base64url.
    #[error("not a JWT: three parts of base64url with two dots between them are needed")]
    MalformedJwt,
    /// One of this brand's opaque tokens, and wrong.
    #[error(transparent)]
    Opaque(#[from] OpaqueError),
}

impl CredentialError {
    /// The stable code.
    ///
    /// It is for logs and for the holder's own tools. To the sender, every token that is ours and wrong is one that
    /// nobody knows.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::InvisibleByte { .. } => "invisible_byte",
            Self::Malformed => "malformed",
            Self::UnknownScheme => "unknown_scheme",
            Self::Ambiguous(_) => "ambiguous",
            Self::MalformedBasic => "malformed_basic",
            Self::MissingWorkspace => "missing_workspace",
            Self::MalformedWorkspace => "malformed_workspace",
            Self::WrongKind => "wrong_kind",
            Self::InUrl => "in_url",
            Self::UnknownFormat => "unknown_format",
            Self::UnknownVersion => "unknown_version",
            Self::MalformedJwt => "malformed_jwt",
            Self::Opaque(error) => error.code(),
        }
    }

    /// Whether the text is no form of token that is known here, rather than one that is and is wrong.
    pub const fn is_not_ours(&self) -> bool {
        match self {
            Self::UnknownFormat => true,
            Self::Opaque(error) => error.is_not_ours(),
            Self::TooLarge { .. }
            | Self::InvisibleByte { .. }
            | Self::Malformed
            | Self::UnknownScheme
            | Self::Ambiguous(_)
            | Self::MalformedBasic
            | Self::MissingWorkspace
            | Self::MalformedWorkspace
            | Self::WrongKind
            | Self::InUrl
            | Self::UnknownVersion
            | Self::MalformedJwt => false,
        }
    }
}

/// In which way there is more than one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// A header field is there twice, even if with one value.
    #[error("the header `{field}` is there twice")]
    DoubledField {
        /// The field's name, in lower case.
        field: &'static str,
    },
    /// A comma: a list, as a proxy makes of two headers.
    #[error("a header holds a list")]
    List,
    /// A token in `Authorization` and one in Nx Cloud's headers.
    #[error("both `authorization` and `nx-cloud-personal-access-token` hold a token")]
    TwoCredentials,
}
