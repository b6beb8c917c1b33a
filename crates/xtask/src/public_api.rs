//! The public API of a library, read from its source: each path that another crate can name, with its signature.
//!
//! It sees what the source says: items, re-exports, inherent methods, implementations of traits, derives, and what the
//! crate's own `macro_rules!` make. It does not resolve types, so a signature is shown with the names its file uses, and
//! it does not see automatic and blanket implementations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::{Attribute, ImplItem, Item, TraitItem, UseTree, Visibility};

use crate::macros::Rules;
use crate::tidy::tidy;

/// Why an API could not be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// A file of the crate is missing or not readable.
    #[error("`{}` could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file, or what a macro made, is not Rust.
    #[error("`{}` could not be parsed: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A module has no file where Rust would look for one.
    #[error("module `{module}` has no file beside `{}`", path.display())]
    NoModule {
        /// The module.
        module: String,
        /// The file that declares it.
        path: PathBuf,
    },
    /// A re-export names something that the crate does not have.
    #[error("`pub use {path}` leads to nothing")]
    NoItem {
        /// What it names.
        path: String,
    },
}

/// The public API of the library whose root file this is: one line for each public thing, sorted by path.
///
/// # Errors
///
/// Where a file is missing or not understood, or a re-export leads nowhere.
pub fn listing(name: &str, root: &Path) -> Result<String, ApiError> {
    let name = name.replace('-', "_");
    let folder = root.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut modules = BTreeMap::new();
    let file = parse_file(root)?;
    Loader { modules: &mut modules, rules: Vec::new() }.load(&[], file.items, &[], root, &folder)?;
    let mut api = Api { modules: &modules, groups: BTreeMap::new(), seen: BTreeSet::new() };
    api.module(&[], &name, &[])?;
    let mut text = String::new();
    for lines in api.groups.into_values() {
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}

type ModulePath = Vec<String>;

struct Module {
    items: Vec<Item>,
    cfgs: Vec<String>,
}

struct Loader<'a> {
    modules: &'a mut BTreeMap<ModulePath, Module>,
    /// The macros in scope, the nearest last.
    rules: Vec<(String, Rules)>,
}

impl Loader<'_> {
    fn load(
        &mut self,
        path: &[String],
        items: Vec<Item>,
        cfgs: &[String],
        file: &Path,
        folder: &Path,
    ) -> Result<(), ApiError> {
        let mut kept = Vec::new();
        let mut waiting: Vec<Item> = items.into_iter().rev().collect();
        let outer = self.rules.len();
        while let Some(item) = waiting.pop() {
            if attributes(&item).is_some_and(is_test) {
                continue;
            }
            match item {
                Item::Macro(item) => {
                    let name = item.mac.path.segments.last().map(|segment| segment.ident.to_string());
                    match (&item.ident, name) {
                        (Some(ident), _) => {
                            if let Some(rules) = Rules::read(item.mac.tokens.clone()) {
                                self.rules.push((ident.to_string(), rules));
                            }
                            kept.push(Item::Macro(item));
                        }
                        (None, Some(name)) => {
                            let Some((_, rules)) = self.rules.iter().rev().find(|(known, _)| *known == name)
                            else {
                                continue;
                            };
                            let unreadable =
                                |reason: String| ApiError::Parse { path: file.to_owned(), reason };
                            let tokens = rules
                                .expand(&item.mac.tokens)
                                .ok_or_else(|| unreadable(format!("no rule of `{name}!` fits")))?;
                            let made: syn::File = syn::parse2(tokens)
                                .map_err(|error| unreadable(format!("what `{name}!` makes: {error}")))?;
                            waiting.extend(made.items.into_iter().rev());
                        }
                        (None, None) => {}
                    }
                }
                Item::Mod(mut item) => {
                    let child = item.ident.to_string();
                    let child_path = [path, std::slice::from_ref(&child)].concat();
                    let child_cfgs = [cfgs, &conditions(&item.attrs)].concat();
                    match item.content.take() {
                        Some((_, items)) => {
                            self.load(&child_path, items, &child_cfgs, file, &folder.join(&child))?;
                        }
                        None => {
                            let (one, other) =
                                (folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs"));
                            let found = if one.is_file() { one } else { other };
                            if !found.is_file() {
                                return Err(ApiError::NoModule { module: child, path: file.to_owned() });
                            }
                            let items = parse_file(&found)?.items;
                            self.load(&child_path, items, &child_cfgs, &found, &folder.join(&child))?;
                        }
                    }
                    // Macros of a `#[macro_use]` module stay known; those of others are simply never asked for.
                    kept.push(Item::Mod(item));
                }
                other => kept.push(other),
            }
        }
        if path.is_empty() {
            self.rules.truncate(outer);
        }
        self.modules.insert(path.to_vec(), Module { items: kept, cfgs: cfgs.to_vec() });
        Ok(())
    }
}

fn parse_file(path: &Path) -> Result<syn::File, ApiError> {
    let source =
        std::fs::read_to_string(path).map_err(|source| ApiError::Read { path: path.to_owned(), source })?;
    syn::parse_file(&source)
        .map_err(|error| ApiError::Parse { path: path.to_owned(), reason: error.to_string() })
}

struct Api<'a> {
    modules: &'a BTreeMap<ModulePath, Module>,
    groups: BTreeMap<String, Vec<String>>,
    /// Modules that are being listed, against `pub use` in a circle.
    seen: BTreeSet<(ModulePath, String)>,
}

impl Api<'_> {
    fn module(&mut self, path: &[String], public: &str, extra: &[String]) -> Result<(), ApiError> {
        let Some(module) = self.modules.get(path) else { return Ok(()) };
        if !self.seen.insert((path.to_vec(), public.to_owned())) {
            return Ok(());
        }
        let cfgs = [module.cfgs.as_slice(), extra].concat();
        for item in &module.items {
            match item {
                Item::Use(item) if is_public(&item.vis) => {
                    let cfgs = [cfgs.as_slice(), &conditions(&item.attrs)].concat();
                    for (target, alias) in flattened(&item.tree) {
                        self.re_export(path, &target, &alias, public, &cfgs)?;
                    }
                }
                Item::Use(_) => {}
                Item::Mod(item) => {
                    if is_public(&item.vis) {
                        let child = [path, &[item.ident.to_string()]].concat();
                        let name = format!("{public}::{}", item.ident);
                        self.add(&name, format!("pub mod {name}"), &[&cfgs, &conditions(&item.attrs)]);
                        self.module(&child, &name, extra)?;
                    }
                }
                Item::Macro(item) => {
                    if let (Some(ident), true) = (
                        &item.ident,
                        item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")),
                    ) {
                        let root = public.split("::").next().unwrap_or(public);
                        let name = format!("{root}::{ident}!");
                        self.add(&name, format!("pub macro {name}"), &[&cfgs]);
                    }
                }
                other => {
                    if let Some((name, vis)) = named(other)
                        && is_public(vis)
                    {
                        self.item(other, path, &format!("{public}::{name}"), &cfgs);
                    }
                }
            }
        }
        Ok(())
    }

    fn re_export(
        &mut self,
        from: &[String],
        target: &[String],
        alias: &str,
        public: &str,
        cfgs: &[String],
    ) -> Result<(), ApiError> {
        let nothing = || ApiError::NoItem { path: target.join("::") };
        let Some((module, name)) = self.local(from, target) else {
            let name = if alias == "*" { format!("{public}::*") } else { format!("{public}::{alias}") };
            self.add(&name, format!("pub use {name} = {}", target.join("::")), &[cfgs]);
            return Ok(());
        };
        if name == "*" {
            return self.module(&module, public, cfgs);
        }
        let child = [module.as_slice(), std::slice::from_ref(&name)].concat();
        if self.modules.contains_key(&child) {
            let name = format!("{public}::{alias}");
            self.add(&name, format!("pub mod {name}"), &[cfgs]);
            return self.module(&child, &name, cfgs);
        }
        let held = self.modules.get(&module).ok_or_else(nothing)?;
        let mut found = false;
        for item in &held.items {
            if named(item).is_some_and(|(known, _)| known == name) {
                let cfgs = [held.cfgs.as_slice(), cfgs].concat();
                self.item(item, &module, &format!("{public}::{alias}"), &cfgs);
                found = true;
            } else if let Item::Use(item) = item {
                for (deeper, known) in flattened(&item.tree) {
                    if known == name && !found {
                        self.re_export(&module, &deeper, alias, public, cfgs)?;
                        found = true;
                    }
                }
            }
        }
        if found { Ok(()) } else { Err(nothing()) }
    }

    /// The module and the name that a path leads to, where it stays inside the crate.
    fn local(&self, from: &[String], target: &[String]) -> Option<(ModulePath, String)> {
        let (name, way) = target.split_last()?;
        let (mut module, way) = match way.split_first() {
            Some((first, rest)) if first == "crate" => (Vec::new(), rest),
            Some((first, rest)) if first == "self" => (from.to_vec(), rest),
            Some((first, rest)) if first == "super" => (from.split_last()?.1.to_vec(), rest),
            Some((first, _)) => {
                let child = [from, std::slice::from_ref(first)].concat();
                self.modules.contains_key(&child).then(|| (from.to_vec(), way))?
            }
            None => (from.to_vec(), way),
        };
        for step in way {
            if step == "super" {
                module.pop()?;
            } else {
                module.push(step.clone());
            }
        }
        Some((module, name.clone()))
    }

    fn item(&mut self, item: &Item, module: &[String], public: &str, outer: &[String]) {
        let own = attributes(item).map(conditions).unwrap_or_default();
        let cfgs = [outer, &own].concat();
        let name = public.rsplit("::").next().unwrap_or(public);
        let original = named(item).map(|(name, _)| name).unwrap_or_else(|| name.to_owned());
        let marks = attributes(item).map(marks).unwrap_or_default();
        match item {
            Item::Fn(item) => {
                self.add(public, format!("{marks}pub {}", signature(&item.sig, public)), &[&cfgs]);
            }
            Item::Const(item) => {
                let line = format!("pub const {public}: {} = {}", tidy(&item.ty), value(&item.expr));
                self.add(public, line, &[&cfgs]);
            }
            Item::Static(item) => {
                self.add(public, format!("pub static {public}: {}", tidy(&item.ty)), &[&cfgs]);
            }
            Item::Type(item) => {
                let generics = generics(&item.generics);
                self.add(public, format!("pub type {public}{generics} = {}", tidy(&item.ty)), &[&cfgs]);
            }
            Item::TraitAlias(_) | Item::ExternCrate(_) => {}
            Item::Struct(item) => {
                let hidden = item.fields.iter().any(|field| !is_public(&field.vis));
                let shape = match (&item.fields, hidden) {
                    (syn::Fields::Unit, _) => ";",
                    (syn::Fields::Named(_), true) => " { .. }",
                    (syn::Fields::Named(_), false) => " {}",
                    (syn::Fields::Unnamed(_), true) => "(..)",
                    (syn::Fields::Unnamed(_), false) => "()",
                };
                let line = format!("{marks}pub struct {public}{}{shape}", generics(&item.generics));
                self.add(public, line, &[&cfgs]);
                self.fields(public, &item.fields, true, &cfgs);
                self.implementations(public, &original, module, &item.attrs, &cfgs);
            }
            Item::Union(item) => {
                self.add(public, format!("pub union {public}{}", generics(&item.generics)), &[&cfgs]);
                self.implementations(public, &original, module, &item.attrs, &cfgs);
            }
            Item::Enum(item) => {
                self.add(public, format!("{marks}pub enum {public}{}", generics(&item.generics)), &[&cfgs]);
                for variant in &item.variants {
                    let path = format!("{public}::{}", variant.ident);
                    let marks = self::marks(&variant.attrs);
                    let own = [cfgs.as_slice(), &conditions(&variant.attrs)].concat();
                    let value = variant.discriminant.as_ref().map(|(_, value)| format!(" = {}", tidy(value)));
                    self.add(public, format!("{marks}{path}{}", value.unwrap_or_default()), &[&own]);
                    self.fields_of(public, &path, &variant.fields, false, &own);
                }
                self.implementations(public, &original, module, &item.attrs, &cfgs);
            }
            Item::Trait(item) => {
                let bounds = if item.supertraits.is_empty() {
                    String::new()
                } else {
                    format!(": {}", tidy(&item.supertraits))
                };
                let line = format!("{marks}pub trait {public}{}{bounds}", generics(&item.generics));
                self.add(public, line, &[&cfgs]);
                for member in &item.items {
                    self.trait_item(public, member, &cfgs);
                }
                self.trait_implementations(public, &original, &cfgs);
            }
            _ => {}
        }
    }

    fn trait_item(&mut self, public: &str, member: &TraitItem, cfgs: &[String]) {
        let (line, attributes) = match member {
            TraitItem::Fn(item) => {
                let body = if item.default.is_some() { " { .. }" } else { "" };
                let path = format!("{public}::{}", item.sig.ident);
                (format!("{}{body}", signature(&item.sig, &path)), &item.attrs)
            }
            TraitItem::Const(item) => {
                let value = if item.default.is_some() { " = .." } else { "" };
                (format!("const {public}::{}: {}{value}", item.ident, tidy(&item.ty)), &item.attrs)
            }
            TraitItem::Type(item) => {
                let bounds =
                    if item.bounds.is_empty() { String::new() } else { format!(": {}", tidy(&item.bounds)) };
                (format!("type {public}::{}{bounds}", item.ident), &item.attrs)
            }
            _ => return,
        };
        self.add(public, line, &[cfgs, &conditions(attributes)]);
    }

    fn fields(&mut self, public: &str, fields: &syn::Fields, by_visibility: bool, cfgs: &[String]) {
        self.fields_of(public, public, fields, by_visibility, cfgs);
    }

    fn fields_of(
        &mut self,
        group: &str,
        path: &str,
        fields: &syn::Fields,
        by_visibility: bool,
        cfgs: &[String],
    ) {
        for (index, field) in fields.iter().enumerate() {
            if by_visibility && !is_public(&field.vis) {
                continue;
            }
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            let line = format!("{path}::{name}: {}", tidy(&field.ty));
            self.add(group, line, &[cfgs, &conditions(&field.attrs)]);
        }
    }

    fn implementations(
        &mut self,
        public: &str,
        original: &str,
        module: &[String],
        attributes: &[Attribute],
        cfgs: &[String],
    ) {
        let short = public.rsplit("::").next().unwrap_or(public);
        let homes = self
            .modules
            .values()
            .filter(|module| {
                module
                    .items
                    .iter()
                    .any(|item| is_type(item) && named(item).is_some_and(|(name, _)| name == original))
            })
            .count();
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for (name, condition) in derives(attributes) {
            lines.push((format!("impl {name} for {short}"), condition.into_iter().collect()));
        }
        for (at, held) in self.modules {
            for item in &held.items {
                let Item::Impl(item) = item else { continue };
                let self_type = last_segment(&item.self_ty);
                let here = homes <= 1 || at.as_slice() == module;
                let own = [held.cfgs.as_slice(), &conditions(&item.attrs)].concat();
                match &item.trait_ {
                    Some((path, _)) => {
                        // `impl From<Ours> for Theirs` belongs to our type as much.
                        let names_it = self_type.as_deref() == Some(original)
                            || tidy(path)
                                .split(|c: char| !c.is_alphanumeric() && c != '_')
                                .any(|word| word == original);
                        if names_it && here {
                            lines.push((implementation(item), own));
                        }
                    }
                    None if self_type.as_deref() == Some(original) && here => {
                        for member in &item.items {
                            if let Some((line, attributes)) = inherent(public, member, &item.generics) {
                                lines.push((line, [own.as_slice(), &conditions(attributes)].concat()));
                            }
                        }
                    }
                    None => {}
                }
            }
        }
        lines.sort();
        lines.dedup();
        for (line, own) in lines {
            self.add(public, line, &[cfgs, &own]);
        }
    }

    fn trait_implementations(&mut self, public: &str, original: &str, cfgs: &[String]) {
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for held in self.modules.values() {
            for item in &held.items {
                if let Item::Impl(item) = item {
                    let last = item.trait_.as_ref().and_then(|(path, _)| path.segments.last());
                    if last.is_some_and(|segment| segment.ident == original) {
                        lines.push((
                            implementation(item),
                            [held.cfgs.as_slice(), &conditions(&item.attrs)].concat(),
                        ));
                    }
                }
            }
        }
        lines.sort();
        for (line, own) in lines {
            self.add(public, line, &[cfgs, &own]);
        }
    }

    fn add(&mut self, group: &str, line: String, cfgs: &[&[String]]) {
        let mut conditions: Vec<&String> = Vec::new();
        for condition in cfgs.iter().flat_map(|list| list.iter()) {
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        let mut line = line;
        for condition in conditions {
            line.push_str("  ");
            line.push_str(condition);
        }
        let lines = self.groups.entry(group.to_owned()).or_default();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

fn inherent<'a>(
    public: &str,
    member: &'a ImplItem,
    outer: &syn::Generics,
) -> Option<(String, &'a [Attribute])> {
    let of = if outer.params.is_empty() { String::new() } else { format!("  [impl{}]", generics(outer)) };
    match member {
        ImplItem::Fn(item) if is_public(&item.vis) => {
            let path = format!("{public}::{}", item.sig.ident);
            Some((format!("{}pub {}{of}", marks(&item.attrs), signature(&item.sig, &path)), &item.attrs))
        }
        ImplItem::Const(item) if is_public(&item.vis) => {
            let line =
                format!("pub const {public}::{}: {} = {}{of}", item.ident, tidy(&item.ty), value(&item.expr));
            Some((line, &item.attrs))
        }
        _ => None,
    }
}

fn implementation(item: &syn::ItemImpl) -> String {
    let mut bare = item.clone();
    bare.attrs.clear();
    bare.items.clear();
    trimmed(&mut bare.generics);
    let line = tidy(&bare);
    line.trim_end_matches(['{', '}', ' ']).to_owned()
}

/// A signature with the function's whole path for its name, and without its body.
fn signature(signature: &syn::Signature, path: &str) -> String {
    let mut signature = signature.clone();
    signature.inputs.pop_punct();
    trimmed(&mut signature.generics);
    for input in &mut signature.inputs {
        // What an argument is called inside (`mut x`, a pattern) is not part of the API.
        if let syn::FnArg::Typed(input) = input {
            input.attrs.clear();
            if let syn::Pat::Ident(pattern) = input.pat.as_mut() {
                pattern.mutability = None;
            }
        }
    }
    let name = format!("fn {}", signature.ident);
    tidy(&signature).replacen(&name, &format!("fn {path}"), 1)
}

/// Drops the last commas that a formatter writes or not.
fn trimmed(generics: &mut syn::Generics) {
    generics.params.pop_punct();
    if let Some(bounds) = &mut generics.where_clause {
        bounds.predicates.pop_punct();
    }
}

/// A constant's value, where it is written out; a computed one is not part of the listing.
fn value(expression: &syn::Expr) -> String {
    let text = tidy(expression);
    if text.contains('{') { "..".to_owned() } else { text }
}

fn generics(generics: &syn::Generics) -> String {
    if generics.params.is_empty() && generics.where_clause.is_none() {
        return String::new();
    }
    let mut bare = generics.clone();
    trimmed(&mut bare);
    let bounds = bare.where_clause.take().map(|bounds| format!(" {}", tidy(&bounds))).unwrap_or_default();
    format!("{}{bounds}", tidy(&bare))
}

fn named(item: &Item) -> Option<(String, &Visibility)> {
    Some(match item {
        Item::Const(item) => (item.ident.to_string(), &item.vis),
        Item::Enum(item) => (item.ident.to_string(), &item.vis),
        Item::Fn(item) => (item.sig.ident.to_string(), &item.vis),
        Item::Static(item) => (item.ident.to_string(), &item.vis),
        Item::Struct(item) => (item.ident.to_string(), &item.vis),
        Item::Trait(item) => (item.ident.to_string(), &item.vis),
        Item::Type(item) => (item.ident.to_string(), &item.vis),
        Item::Union(item) => (item.ident.to_string(), &item.vis),
        _ => return None,
    })
}

fn is_type(item: &Item) -> bool {
    matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Union(_))
}

fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn conditions(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).map(tidy).collect()
}

/// The attributes that change what a caller may do.
fn marks(attributes: &[Attribute]) -> String {
    const TELLING: [&str; 6] =
        ["non_exhaustive", "must_use", "deprecated", "repr", "async_trait", "track_caller"];
    let mut text = String::new();
    for attribute in attributes {
        let last = attribute.path().segments.last().map(|segment| segment.ident.to_string());
        let hidden = attribute.path().is_ident("doc") && tidy(attribute).contains("(hidden)");
        if hidden || last.is_some_and(|last| TELLING.contains(&last.as_str())) {
            // The words of a note are not the API.
            let short = match &attribute.meta {
                syn::Meta::NameValue(pair) => format!("#[{}]", tidy(&pair.path)),
                _ => tidy(attribute),
            };
            text.push_str(&short);
            text.push(' ');
        }
    }
    text
}

/// The traits that a type derives, each with the condition under which it does.
fn derives(attributes: &[Attribute]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let list = |tokens: proc_macro2::TokenStream| -> Vec<String> {
        tidy(tokens).split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    };
    for attribute in attributes {
        let syn::Meta::List(meta) = &attribute.meta else { continue };
        if meta.path.is_ident("derive") {
            found.extend(list(meta.tokens.clone()).into_iter().map(|name| (name, None)));
        } else if meta.path.is_ident("cfg_attr") {
            let text = tidy(&meta.tokens);
            if let Some((condition, rest)) = text.split_once(", derive(") {
                let names = rest.split(')').next().unwrap_or_default();
                for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    found.push((name.to_owned(), Some(format!("#[cfg({condition})]"))));
                }
            }
        }
    }
    found
}

fn last_segment(ty: &syn::Type) -> Option<String> {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        syn::Type::Reference(reference) => last_segment(&reference.elem),
        syn::Type::Group(group) => last_segment(&group.elem),
        syn::Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Each path in a `use`, with the name that it gets.
fn flattened(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    fn walk(tree: &UseTree, way: &[String], found: &mut Vec<(Vec<String>, String)>) {
        match tree {
            UseTree::Path(step) => walk(&step.tree, &[way, &[step.ident.to_string()]].concat(), found),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, way, found)),
            UseTree::Glob(_) => found.push(([way, &["*".to_owned()]].concat(), "*".to_owned())),
            UseTree::Name(name) if name.ident == "self" => {
                found.push((way.to_vec(), way.last().cloned().unwrap_or_default()));
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                found.push(([way, std::slice::from_ref(&name)].concat(), name));
            }
            UseTree::Rename(rename) => {
                found.push(([way, &[rename.ident.to_string()]].concat(), rename.rename.to_string()));
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}
