//! What Nix says of a store path beside its NAR: as much of it as a closure is made of.

/// The bytes of a hash in a store path: 160 bits in Nix's base 32.
const HASH: usize = 32;

/// The longest name behind it that Nix takes.
const NAME: usize = 211;

/// A store path's own name, without the store's folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StoreName(Box<str>);

impl StoreName {
    /// `hash-name`, as references are written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (hash, name) = text.split_once('-')?;
        let is_hash = hash.len() == HASH && hash.bytes().all(|byte| ALPHABET.contains(&byte));
        let is_named = (1..=NAME).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte));
        (is_hash && is_named).then(|| Self(text.into()))
    }

    /// `/nix/store/hash-name`.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Self::parse(path.strip_prefix("/nix/store/")?)
    }

    /// What a cache goes by.
    pub(crate) fn hash(&self) -> &str {
        self.0.get(..HASH).unwrap_or_default()
    }
}

/// Nix's base 32 leaves out the letters that make words.
const ALPHABET: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A narinfo that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Narinfo {
    pub(crate) name: StoreName,
    /// Where its NAR is, below the cache's own path.
    pub(crate) url: String,
    /// What it needs; often itself as well.
    pub(crate) references: Vec<StoreName>,
}

impl Narinfo {
    /// Reads one: `Key: value` lines, each key once but `Sig`, and those that count as Nix writes them. What other keys
    /// say is nothing to a closure.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut name, mut url, mut references) = (None, None, None);
        for line in text.lines() {
            let (key, value) = line
                .split_once(": ")
                .or_else(|| Some((line.strip_suffix(':')?, "")))
                .ok_or("a line is no `Key: value`")?;
            let slot = match key {
                "StorePath" => &mut name,
                "URL" => &mut url,
                "References" => &mut references,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err("a key is there twice");
            }
        }
        let name = StoreName::of_path(name.ok_or("there is no `StorePath`")?)
            .ok_or("the `StorePath` is none of /nix/store")?;
        let url = url.filter(|url| is_nar(url)).ok_or("the `URL` is none below `nar/`")?;
        let references = references.ok_or("there are no `References`")?.split_ascii_whitespace();
        let references: Option<Vec<_>> = references.map(StoreName::parse).collect();
        let references = references.ok_or("a reference is no store path's name")?;
        Ok(Self { name, url: url.to_owned(), references })
    }
}

/// `nar/` and one plain segment.
fn is_nar(url: &str) -> bool {
    url.strip_prefix("nar/").is_some_and(|file| {
        !file.is_empty()
            && !file.starts_with('.')
            && file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "StorePath: /nix/store/n2bcxzvpmycfx9gy997dwwwynf5h7338-top\n\
        URL: nar/0a1b.nar.xz\nCompression: xz\nFileHash: sha256:0a1b\nFileSize: 184\nNarHash: sha256:0c\nNarSize: 216\n\
        References: g3pn49mk3yq5j9yxjznjhp5bv73qjlyq-dep2 wkb38adhw4i46sxpcl84c1g6wxsylyag-dep\n\
        Sig: a:1\nSig: b:2\nCA: text:sha256:0d\n";

    #[test]
    fn path_url_and_references_are_read() {
        let read = Narinfo::parse(WHOLE).expect("a narinfo");
        assert_eq!(read.name.hash(), "n2bcxzvpmycfx9gy997dwwwynf5h7338");
        assert_eq!(read.url, "nar/0a1b.nar.xz");
        let hashes: Vec<_> = read.references.iter().map(StoreName::hash).collect();
        assert_eq!(hashes, ["g3pn49mk3yq5j9yxjznjhp5bv73qjlyq", "wkb38adhw4i46sxpcl84c1g6wxsylyag"]);
        for none in ["References:\n", "References: \n"] {
            let alone =
                format!("StorePath: /nix/store/n2bcxzvpmycfx9gy997dwwwynf5h7338-top\nURL: nar/1.nar\n{none}");
            assert_eq!(Narinfo::parse(&alone).expect("a narinfo").references, []);
        }
    }

    #[test]
    fn anything_else_is_none() {
        let with = |from: &str, to: &str| Narinfo::parse(&WHOLE.replace(from, to)).expect_err("refused");
        assert_eq!(with("StorePath: ", "StorePath "), "a line is no `Key: value`");
        assert_eq!(with("StorePath: ", "Storepath: "), "there is no `StorePath`");
        assert_eq!(with("/nix/store/", "/gnu/store/"), "the `StorePath` is none of /nix/store");
        assert_eq!(with("7338-top", "7338-../top"), "the `StorePath` is none of /nix/store");
        assert_eq!(with("n2bcx", "e2bcx"), "the `StorePath` is none of /nix/store");
        assert_eq!(with("Compression: xz", "URL: nar/2.nar"), "a key is there twice");
        for url in ["http://elsewhere/nar/1", "nar/", "nar/../1", "nar/a/b", "nar/..", "1.nar", "nar/a?b"] {
            assert_eq!(with("nar/0a1b.nar.xz", url), "the `URL` is none below `nar/`", "{url}");
        }
        assert_eq!(with("References:", "Reference:"), "there are no `References`");
        assert_eq!(with("yag-dep\n", "ya-dep\n"), "a reference is no store path's name");
    }
}
