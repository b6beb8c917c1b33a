//! Tokens as one line of Rust, spaced as a person would, so that a listing does not change with a formatter.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// One line for these tokens.
pub(crate) fn tidy(tokens: impl ToTokens) -> String {
    let mut words = Vec::new();
    flatten(tokens.to_token_stream(), &mut words);
    let mut line = String::new();
    let mut before: Option<&str> = None;
    for word in words.iter().map(String::as_str) {
        if before.is_some_and(|before| spaced(before, word)) {
            line.push(' ');
        }
        line.push_str(word);
        before = Some(word);
    }
    line
}

fn flatten(tokens: TokenStream, words: &mut Vec<String>) {
    let mut joint = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                joint = false;
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                words.push(open.to_owned());
                flatten(group.stream(), words);
                // `(a, b,)` and `(a, b)` are one list; `(a,)` alone is a tuple of one.
                let commas = group
                    .stream()
                    .into_iter()
                    .filter(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
                if words.last().is_some_and(|word| word == ",") && commas.count() > 1 {
                    words.pop();
                }
                words.push(close.to_owned());
            }
            TokenTree::Punct(punct) => {
                let sign = punct.as_char();
                match words.last_mut() {
                    Some(last) if joint && goes_on(last, sign) => last.push(sign),
                    _ => words.push(sign.to_string()),
                }
                joint = punct.spacing() == Spacing::Joint;
            }
            TokenTree::Ident(ident) => {
                match words.last_mut() {
                    Some(last) if last == "'" => last.push_str(&ident.to_string()),
                    _ => words.push(ident.to_string()),
                }
                joint = false;
            }
            TokenTree::Literal(literal) => {
                words.push(literal.to_string());
                joint = false;
            }
        }
    }
}

/// Whether a sign belongs to the one before it: `>>` does not, it closes two lists.
fn goes_on(last: &str, sign: char) -> bool {
    matches!(
        (last, sign),
        ("-" | "=", '>') | (":", ':') | ("=" | "<" | ">" | "!", '=') | ("." | "..", '.') | ("<", '<')
    )
}

fn spaced(before: &str, word: &str) -> bool {
    const AROUND: [&str; 9] = ["->", "=>", "=", "+", "|", "{", "==", "-", "<<"];
    if before.is_empty() || word.is_empty() {
        return false;
    }
    if AROUND.contains(&before) || AROUND.contains(&word) || word == "}" {
        return true;
    }
    if matches!(before, "(" | "[" | "<" | "&" | "::" | "!" | "?" | "#" | "..") {
        return false;
    }
    if before == "*" {
        // A raw pointer, or a product.
        return !matches!(word, "const" | "mut");
    }
    if word == "?" {
        return matches!(before, ":" | "+");
    }
    if matches!(word, ")" | "]" | ">" | "," | ";" | ":" | "::" | "." | "!") {
        return false;
    }
    if matches!(word, "<" | "(" | "[") {
        return matches!(
            before,
            "," | ":" | ";" | "dyn" | "mut" | "const" | "for" | "as" | "in" | "where" | ")"
        ) || (before.starts_with('\'') && word != "<");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: &str) -> String {
        tidy(source.parse::<TokenStream>().unwrap())
    }

    #[test]
    fn a_signature_reads_as_a_person_writes_it() {
        for text in [
            "fn check<'a, T: AsRef<str> + 'a>(&'a self, token: &mut T) -> Result<Option<Vec<u8>>, CheckError>",
            "fn f(self: Box<Self>, g: impl Fn(&str) -> bool, list: &[u8; 32], pair: (u8, u8)) -> ()",
            "impl<'de> serde::Deserialize<'de> for Lane",
            "type Held: ?Sized + Send",
            "const LIMIT: usize = 16 * 1024",
            "#[cfg(feature = \"serde\")]",
            "fn g<const N: usize>(bytes: [u8; N]) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>",
            "fn h(one: (u8,))",
        ] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn the_formatters_last_comma_changes_nothing() {
        assert_eq!(line("fn f(\n    a: u8,\n    b: u8,\n)"), "fn f(a: u8, b: u8)");
    }
}
