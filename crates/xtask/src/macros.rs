//! Expands a crate's own `macro_rules!` where they stand as items, so that what they make is listed like the rest.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};

/// A `macro_rules!`: its rules, in order.
#[derive(Clone, Debug)]
pub(crate) struct Rules(Vec<(Vec<Part>, Vec<Part>)>);

#[derive(Clone, Debug)]
enum Part {
    Token(TokenTree),
    Group(Delimiter, Vec<Part>),
    Variable(String, Option<String>),
    Repeat { parts: Vec<Part>, separator: Option<TokenTree>, least: usize, most: usize },
}

#[derive(Clone, Debug)]
enum Bound {
    One(TokenStream),
    Many(Vec<Bound>),
}

type Bindings = BTreeMap<String, Bound>;

impl Rules {
    /// The rules in the body of a `macro_rules!`.
    pub(crate) fn read(body: TokenStream) -> Option<Self> {
        let mut rules = Vec::new();
        let mut tokens = body.into_iter().peekable();
        while let Some(TokenTree::Group(matcher)) = tokens.next() {
            let (Some(TokenTree::Punct(_)), Some(TokenTree::Punct(_)), Some(TokenTree::Group(transcriber))) =
                (tokens.next(), tokens.next(), tokens.next())
            else {
                return None;
            };
            rules.push((parts(matcher.stream())?, parts(transcriber.stream())?));
            tokens.next_if(|token| is_punct(token, ';'));
        }
        Some(Self(rules))
    }

    /// What an invocation with this body becomes; `None` where no rule fits.
    pub(crate) fn expand(&self, body: &TokenStream) -> Option<TokenStream> {
        self.0.iter().find_map(|(matcher, transcriber)| {
            let mut bindings = Bindings::new();
            let rest = fit(matcher, body.clone(), &mut bindings)?;
            if rest.is_empty() { transcribe(transcriber, &bindings) } else { None }
        })
    }
}

fn parts(tokens: TokenStream) -> Option<Vec<Part>> {
    let mut parts_read = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let part = match token {
            TokenTree::Punct(punct) if punct.as_char() == '$' => match tokens.next()? {
                TokenTree::Ident(name) if name == "crate" => Part::Token(TokenTree::Ident(name)),
                TokenTree::Ident(name) => {
                    let mut kind = None;
                    if tokens.peek().is_some_and(|token| {
                        matches!(token, TokenTree::Punct(p) if p.as_char() == ':' && p.spacing() == Spacing::Alone)
                    }) {
                        let mut ahead = tokens.clone();
                        ahead.next();
                        if let Some(TokenTree::Ident(fragment)) = ahead.next()
                            && is_fragment(&fragment) {
                                kind = Some(fragment.to_string());
                                tokens = ahead;
                            }
                    }
                    Part::Variable(name.to_string(), kind)
                }
                TokenTree::Group(group) => {
                    let mut separator = None;
                    let mut operator = tokens.next()?;
                    if !['*', '+', '?'].iter().any(|sign| is_punct(&operator, *sign)) {
                        separator = Some(operator);
                        operator = tokens.next()?;
                    }
                    let least = usize::from(is_punct(&operator, '+'));
                    let most = if is_punct(&operator, '?') { 1 } else { usize::MAX };
                    Part::Repeat { parts: parts(group.stream())?, separator, least, most }
                }
                _ => return None,
            },
            TokenTree::Group(group) => Part::Group(group.delimiter(), parts(group.stream())?),
            other => Part::Token(other),
        };
        parts_read.push(part);
    }
    Some(parts_read)
}

fn is_fragment(ident: &Ident) -> bool {
    const FRAGMENTS: [&str; 13] = [
        "ident", "literal", "tt", "ty", "expr", "meta", "path", "lifetime", "vis", "block", "item", "pat",
        "stmt",
    ];
    FRAGMENTS.iter().any(|fragment| ident == fragment)
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Fits the parts to the front of the tokens, and gives what is left.
fn fit(parts: &[Part], mut tokens: TokenStream, bindings: &mut Bindings) -> Option<TokenStream> {
    for part in parts {
        tokens = match part {
            Part::Token(wanted) => {
                let mut rest = tokens.into_iter();
                let found = rest.next()?;
                if found.to_string() != wanted.to_string() {
                    return None;
                }
                rest.collect()
            }
            Part::Group(delimiter, inner) => {
                let mut rest = tokens.into_iter();
                let TokenTree::Group(group) = rest.next()? else { return None };
                if group.delimiter() != *delimiter || !fit(inner, group.stream(), bindings)?.is_empty() {
                    return None;
                }
                rest.collect()
            }
            Part::Variable(name, kind) => {
                let (found, rest) = fragment(kind.as_deref()?, tokens)?;
                bindings.insert(name.clone(), Bound::One(found));
                rest
            }
            Part::Repeat { parts, separator, least, most } => {
                let mut rounds: Vec<Bindings> = Vec::new();
                let mut rest = tokens;
                while rounds.len() < *most {
                    let mut ahead = rest.clone();
                    if let (Some(separator), false) = (separator, rounds.is_empty()) {
                        match fit(&[Part::Token(separator.clone())], ahead, &mut Bindings::new()) {
                            Some(after) => ahead = after,
                            None => break,
                        }
                    }
                    let mut round = Bindings::new();
                    match fit(parts, ahead.clone(), &mut round) {
                        Some(after) if after.to_string() != rest.to_string() => rest = after,
                        _ => break,
                    }
                    rounds.push(round);
                }
                if rounds.len() < *least {
                    return None;
                }
                for name in variables(parts) {
                    let many = rounds.iter().filter_map(|round| round.get(&name).cloned()).collect();
                    bindings.insert(name, Bound::Many(many));
                }
                rest
            }
        };
    }
    Some(tokens)
}

fn fragment(kind: &str, tokens: TokenStream) -> Option<(TokenStream, TokenStream)> {
    fn front<T: ToTokens>(
        read: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
        tokens: TokenStream,
    ) -> Option<(TokenStream, TokenStream)> {
        let parser = |input: ParseStream<'_>| {
            let found = read(input)?.to_token_stream();
            Ok((found, input.parse::<TokenStream>()?))
        };
        parser.parse2(tokens).ok()
    }
    match kind {
        "ident" => front(<Ident as syn::ext::IdentExt>::parse_any, tokens),
        "literal" => front(syn::Lit::parse, tokens),
        "tt" => front(TokenTree::parse, tokens),
        "ty" => front(syn::Type::parse, tokens),
        "expr" => front(syn::Expr::parse, tokens),
        "meta" => front(syn::Meta::parse, tokens),
        "path" => front(syn::Path::parse, tokens),
        "lifetime" => front(syn::Lifetime::parse, tokens),
        "vis" => front(syn::Visibility::parse, tokens),
        "block" => front(syn::Block::parse, tokens),
        "item" => front(syn::Item::parse, tokens),
        "pat" => front(syn::Pat::parse_multi, tokens),
        "stmt" => front(syn::Stmt::parse, tokens),
        _ => None,
    }
}

fn variables(parts: &[Part]) -> Vec<String> {
    let mut names = Vec::new();
    for part in parts {
        match part {
            Part::Token(_) => {}
            Part::Variable(name, _) => names.push(name.clone()),
            Part::Group(_, parts) | Part::Repeat { parts, .. } => names.extend(variables(parts)),
        }
    }
    names
}

fn transcribe(parts: &[Part], bindings: &Bindings) -> Option<TokenStream> {
    let mut out = TokenStream::new();
    for part in parts {
        match part {
            Part::Token(token) => out.extend([token.clone()]),
            Part::Group(delimiter, inner) => {
                out.extend([TokenTree::Group(Group::new(*delimiter, transcribe(inner, bindings)?))]);
            }
            Part::Variable(name, _) => match bindings.get(name)? {
                Bound::One(tokens) => out.extend(tokens.clone()),
                Bound::Many(_) => return None,
            },
            Part::Repeat { parts, separator, .. } => {
                let rounds = variables(parts)
                    .iter()
                    .filter_map(|name| match bindings.get(name) {
                        Some(Bound::Many(many)) => Some(many.len()),
                        _ => None,
                    })
                    .max()?;
                for round in 0..rounds {
                    let mut inner = bindings.clone();
                    for bound in inner.values_mut() {
                        if let Bound::Many(many) = bound
                            && let Some(one) = many.get(round).cloned()
                        {
                            *bound = one;
                        }
                    }
                    if let (Some(separator), true) = (separator, round > 0) {
                        out.extend([separator.clone()]);
                    }
                    out.extend(transcribe(parts, &inner)?);
                }
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(rules: &str, body: &str) -> Option<String> {
        let rules = Rules::read(rules.parse().unwrap()).unwrap();
        rules.expand(&body.parse().unwrap()).map(crate::tidy::tidy)
    }

    #[test]
    fn repetitions_and_nested_ones_expand_in_order() {
        let rules = "($($name:ident { $($field:ident: $ty:ty),* $(,)? })*) => {$(
            pub struct $name { $(pub $field: $ty,)* }
        )*};";
        let plain = "pub struct A { pub x: u8, pub y: Vec<u8> } pub struct B { }";
        assert_eq!(expanded(rules, "A { x: u8, y: Vec<u8>, } B {}").as_deref(), Some(plain));
    }

    #[test]
    fn the_first_rule_that_fits_wins_and_none_fitting_is_none() {
        let rules = "(one) => { struct One; }; ($word:ident) => { struct $word; };";
        assert_eq!(expanded(rules, "one").unwrap(), "struct One;");
        assert_eq!(expanded(rules, "Two").unwrap(), "struct Two;");
        assert_eq!(expanded(rules, "1 + 1"), None);
    }
}
