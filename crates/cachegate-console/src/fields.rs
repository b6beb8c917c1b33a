//! What a form or a URL says: names and values, each name once unless it is asked for as a list.

use std::fmt;

/// The most fields that one request has.
const MOST: usize = 64;

/// Fields. Without their values in `Debug`: a platform's token may be among them.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    pairs: Vec<(String, String)>,
}

impl Fields {
    /// `None` where there are more than any page asks for.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let pairs: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().take(MOST + 1).collect();
        (pairs.len() <= MOST).then_some(Self { pairs })
    }

    /// The one value of this name, without space around it; `None` where there is none, an empty one, or several.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.all(name);
        let first = found.next()?;
        (found.next().is_none() && !first.is_empty()).then_some(first)
    }

    /// Every value of this name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fields").field("count", &self.pairs.len()).finish()
    }
}

/// A path with a query, each value written as a URL needs it.
pub(crate) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        text.append_pair(name, value);
    }
    match text.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_stands_twice_is_no_field() {
        let fields = Fields::read("a=1&b=+x+&b=y&c=&d=%00").expect("fields");
        assert_eq!((fields.get("a"), fields.get("b"), fields.get("c")), (Some("1"), None, None));
        assert_eq!(fields.all("b").collect::<Vec<_>>(), ["x", "y"]);
        assert!(Fields::read(&"a&".repeat(65)).is_none());
    }

    #[test]
    fn an_address_holds_nothing_that_ends_a_value() {
        assert_eq!(address("/a", &[("b", "1&c=2#"), ("d", "")]), "/a?b=1%26c%3D2%23");
    }
}
