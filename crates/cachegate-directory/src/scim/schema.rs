//! What is kept of users and groups, in one table, and the discovery documents made of it (RFC 7643, sections 5 to 7).

use serde_json::{Map, Value, json};

use super::error::ScimError;

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
pub(super) const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// The most resources in one answer.
pub(super) const LONGEST_PAGE: usize = 200;

/// The longest text, in bytes.
const LONGEST_TEXT: usize = 1024;

/// The most values of an attribute, members aside.
const MOST_VALUES: usize = 100;

/// The most members of a group.
pub(super) const MOST_MEMBERS: usize = 10_000;

/// What an attribute holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Boolean,
    Reference,
    Moment,
    Complex(&'static [Attribute]),
}

/// One attribute (RFC 7643, section 7).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) many: bool,
    pub(super) required: bool,
    pub(super) exact: bool,
    pub(super) read_only: bool,
    unique: bool,
    /// The values that it may have; any, where there are none.
    canonical: &'static [&'static str],
    about: &'static str,
}

const fn text(name: &'static str, about: &'static str) -> Attribute {
    Attribute {
        name,
        kind: Kind::Text,
        many: false,
        required: false,
        exact: false,
        read_only: false,
        unique: false,
        canonical: &[],
        about,
    }
}

const fn boolean(name: &'static str, about: &'static str) -> Attribute {
    Attribute { kind: Kind::Boolean, ..text(name, about) }
}

const EMAIL: &[Attribute] = &[
    text("value", "The address."),
    text("display", "How it is shown."),
    text("type", "What it is for, such as `work`."),
    boolean("primary", "Whether it is the one to use."),
];

const NAME: &[Attribute] = &[
    text("formatted", "The whole name."),
    text("familyName", "The family name."),
    text("givenName", "The given name."),
    text("middleName", "The middle name."),
];

const GROUPS: &[Attribute] = &[
    Attribute { exact: true, read_only: true, ..text("value", "The group's id.") },
    Attribute { kind: Kind::Reference, exact: true, read_only: true, ..text("$ref", "The group.") },
    Attribute { read_only: true, ..text("display", "The group's name.") },
];

const MEMBERS: &[Attribute] = &[
    Attribute { exact: true, ..text("value", "The user's id.") },
    Attribute { kind: Kind::Reference, exact: true, ..text("$ref", "The user.") },
    Attribute { canonical: &["User"], ..text("type", "What it is.") },
];

const META: &[Attribute] = &[
    Attribute { exact: true, read_only: true, ..text("resourceType", "The type.") },
    Attribute { kind: Kind::Moment, read_only: true, ..text("created", "When it was made.") },
    Attribute { kind: Kind::Moment, read_only: true, ..text("lastModified", "When it was last changed.") },
    Attribute { kind: Kind::Reference, exact: true, read_only: true, ..text("location", "Where it is.") },
    Attribute { exact: true, read_only: true, ..text("version", "Its version.") },
];

/// What every resource has (RFC 7643, section 3.1). No schema lists these.
const COMMON: &[Attribute] = &[
    Attribute { exact: true, read_only: true, ..text("id", "Its id here.") },
    Attribute { exact: true, ..text("externalId", "Its id there, which is never given to anyone else.") },
    Attribute { many: true, read_only: true, exact: true, ..text("schemas", "Its schemas.") },
    Attribute { kind: Kind::Complex(META), read_only: true, ..text("meta", "About it.") },
];

const USER_ATTRIBUTES: &[Attribute] = &[
    Attribute {
        required: true,
        unique: true,
        ..text("userName", "What they sign in as there. Identifies nobody here.")
    },
    Attribute { kind: Kind::Complex(NAME), ..text("name", "Their name.") },
    text("displayName", "What people call them."),
    text("title", "What they do."),
    Attribute {
        required: true,
        ..boolean(
            "active",
            "Whether they belong to the organization, as they do at first. `false` ends their access at once.",
        )
    },
    Attribute {
        kind: Kind::Complex(EMAIL),
        many: true,
        ..text("emails", "Their addresses. They identify nobody here.")
    },
    Attribute {
        kind: Kind::Complex(GROUPS),
        many: true,
        read_only: true,
        ..text("groups", "The groups that list them.")
    },
];

const GROUP_ATTRIBUTES: &[Attribute] = &[
    Attribute { required: true, ..text("displayName", "What people call the group.") },
    Attribute { kind: Kind::Complex(MEMBERS), many: true, ..text("members", "The users in it.") },
];

/// A type of resource.
#[derive(Debug)]
pub(super) struct ResourceType {
    pub(super) name: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) schema: &'static str,
    attributes: &'static [Attribute],
    about: &'static str,
}

pub(super) const USERS: ResourceType = ResourceType {
    name: "User",
    endpoint: "Users",
    schema: USER,
    attributes: USER_ATTRIBUTES,
    about: "People whom the directory tells of.",
};

pub(super) const TEAMS: ResourceType = ResourceType {
    name: "Group",
    endpoint: "Groups",
    schema: GROUP,
    attributes: GROUP_ATTRIBUTES,
    about: "Groups of people whom the directory tells of.",
};

pub(super) const TYPES: [&ResourceType; 2] = [&USERS, &TEAMS];

impl ResourceType {
    /// The attribute of this name, in whatever case (RFC 7643, section 2.1).
    pub(super) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(COMMON, name).or_else(|| find(self.attributes, name))
    }

    /// What is kept of what a client sent: attributes that are unknown or not the client's are passed over.
    pub(super) fn read(&self, sent: &Map<String, Value>) -> Result<Map<String, Value>, ScimError> {
        let mut kept = Map::new();
        for (name, value) in sent {
            let Some(attribute) = self.attribute(name).filter(|attribute| !attribute.read_only) else {
                continue;
            };
            if let Some(value) = attribute.read(value)? {
                kept.insert(attribute.name.to_owned(), value);
            }
        }
        Ok(kept)
    }

    /// Whether all is there that must be.
    pub(super) fn complete(&self, document: &Map<String, Value>) -> Result<(), ScimError> {
        match self.attributes.iter().find(|one| one.required && !document.contains_key(one.name)) {
            Some(missing) => Err(ScimError::Value { attribute: missing.name, what: "it is required" }),
            None => Ok(()),
        }
    }

    fn document(&self, base: &str) -> Value {
        json!({
            "schemas": [RESOURCE_TYPE],
            "id": self.name,
            "name": self.name,
            "description": self.about,
            "endpoint": format!("/{}", self.endpoint),
            "schema": self.schema,
            "schemaExtensions": [],
            "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", self.name)},
        })
    }

    fn schema_document(&self, base: &str) -> Value {
        json!({
            "schemas": [SCHEMA],
            "id": self.schema,
            "name": self.name,
            "description": self.about,
            "attributes": self.attributes.iter().map(|one| one.document(true)).collect::<Vec<_>>(),
            "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.schema)},
        })
    }
}

impl Attribute {
    /// The sub-attribute of this name.
    pub(super) fn sub(&self, name: &str) -> Option<&'static Attribute> {
        match self.kind {
            Kind::Complex(subs) => find(subs, name),
            Kind::Text | Kind::Boolean | Kind::Reference | Kind::Moment => None,
        }
    }

    /// The sub-attributes.
    pub(super) const fn subs(&self) -> &'static [Attribute] {
        match self.kind {
            Kind::Complex(subs) => subs,
            Kind::Text | Kind::Boolean | Kind::Reference | Kind::Moment => &[],
        }
    }

    fn bad<T>(&self, what: &'static str) -> Result<T, ScimError> {
        Err(ScimError::Value { attribute: self.name, what })
    }

    /// The value as it is kept; `None` where it says that there is none (RFC 7643, section 2.5).
    pub(super) fn read(&self, value: &Value) -> Result<Option<Value>, ScimError> {
        if !self.many {
            // Entra wraps single values in lists of one.
            return match value {
                Value::Array(values) => match values.as_slice() {
                    [] => Ok(None),
                    [one] => self.read_one(one),
                    _ => self.bad("it has one value"),
                },
                one => self.read_one(one),
            };
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        let most = if self.name == "members" { MOST_MEMBERS } else { MOST_VALUES };
        if values.len() > most {
            return Err(ScimError::TooMany { what: "values", limit: most });
        }
        let mut kept = Vec::with_capacity(values.len());
        for value in values {
            kept.extend(self.read_one(value)?);
        }
        Ok(Some(Value::Array(kept)).filter(|kept| kept.as_array().is_some_and(|kept| !kept.is_empty())))
    }

    /// One value.
    pub(super) fn read_one(&self, value: &Value) -> Result<Option<Value>, ScimError> {
        match (self.kind, value) {
            (_, Value::Null) => Ok(None),
            (Kind::Text | Kind::Reference | Kind::Moment, Value::String(text)) => {
                if text.len() > LONGEST_TEXT {
                    return self.bad("it is longer than 1024 bytes");
                }
                if text.chars().any(char::is_control) {
                    return self.bad("it holds a control character");
                }
                Ok(Some(value.clone()).filter(|_| !text.is_empty()))
            }
            (Kind::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
            // Entra writes booleans as texts.
            (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => {
                Ok(Some(true.into()))
            }
            (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => {
                Ok(Some(false.into()))
            }
            (Kind::Complex(subs), Value::Object(sent)) => {
                let mut kept = Map::new();
                for (name, value) in sent {
                    let Some(sub) = find(subs, name) else { continue };
                    if let Some(value) = sub.read(value)? {
                        kept.insert(sub.name.to_owned(), value);
                    }
                }
                Ok(Some(Value::Object(kept))
                    .filter(|kept| kept.as_object().is_some_and(|kept| !kept.is_empty())))
            }
            // A value of a list whose values have nothing else (RFC 7643, section 2.4).
            (Kind::Complex(subs), Value::String(_)) if self.many && find(subs, "value").is_some() => {
                self.read_one(&json!({"value": value}))
            }
            (Kind::Text | Kind::Reference | Kind::Moment, _) => self.bad("it is a text"),
            (Kind::Boolean, _) => self.bad("it is true or false"),
            (Kind::Complex(_), _) => self.bad("it is an object"),
        }
    }

    fn document(&self, top: bool) -> Value {
        let kind = match self.kind {
            Kind::Text => "string",
            Kind::Boolean => "boolean",
            Kind::Reference => "reference",
            Kind::Moment => "dateTime",
            Kind::Complex(_) => "complex",
        };
        let mut document = json!({
            "name": self.name,
            "type": kind,
            "multiValued": self.many,
            "description": self.about,
            "required": self.required,
            "caseExact": self.exact,
            "mutability": if self.read_only { "readOnly" } else { "readWrite" },
            "returned": "default",
            "uniqueness": if self.unique { "server" } else { "none" },
        });
        if let Some(document) = document.as_object_mut() {
            let subs = self.subs();
            if top && !subs.is_empty() {
                let subs: Vec<_> = subs.iter().map(|sub| sub.document(false)).collect();
                document.insert("subAttributes".to_owned(), subs.into());
            }
            if !self.canonical.is_empty() {
                document.insert("canonicalValues".to_owned(), json!(self.canonical));
            }
            match (self.kind, self.read_only) {
                (Kind::Reference, true) => {
                    document.insert("referenceTypes".to_owned(), json!(["Group"]));
                }
                (Kind::Reference, false) => {
                    document.insert("referenceTypes".to_owned(), json!(["User"]));
                }
                (Kind::Text | Kind::Boolean | Kind::Moment | Kind::Complex(_), _) => {}
            }
        }
        document
    }
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// `/ServiceProviderConfig`.
pub(super) fn config(base: &str) -> Value {
    json!({
        "schemas": [CONFIG],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": LONGEST_PAGE},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of the organization that may provision and nothing else.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")},
    })
}

/// `/ResourceTypes`, or one of them.
pub(super) fn resource_types(base: &str, name: Option<&str>) -> Option<Value> {
    let documents = TYPES.map(|one| one.document(base));
    match name {
        None => Some(list(&documents)),
        Some(name) => documents.into_iter().find(|document| document["id"] == name),
    }
}

/// `/Schemas`, or one of them.
pub(super) fn schemas(base: &str, id: Option<&str>) -> Option<Value> {
    let documents = TYPES.map(|one| one.schema_document(base));
    match id {
        None => Some(list(&documents)),
        Some(id) => documents
            .into_iter()
            .find(|document| document["id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(id))),
    }
}

fn list(documents: &[Value]) -> Value {
    json!({
        "schemas": [LIST],
        "totalResults": documents.len(),
        "startIndex": 1,
        "itemsPerPage": documents.len(),
        "Resources": documents,
    })
}
