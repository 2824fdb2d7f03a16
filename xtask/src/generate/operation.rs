//! Lowers operations.

use super::OVERRIDES;
use super::lower::Lower;
use super::model::{
    Field, Item, Operation, Parameter, ParameterLocation, Path, RequestBody, ResponseBody, Struct,
    Type,
};
use super::names::{pascal, snake};
use super::node_ref::{NodeRef, Owner};
use super::spec::{Node, entries, flag, items, step, text};
use super::type_names::stem;
use crate::Result;

/// The methods that the data uses.
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

impl<'a> Lower<'a> {
    /// Lowers all operations of a file into a module.
    pub(crate) fn lower_file(&mut self, file: &str) -> Result<()> {
        let root = self.spec.root(file)?;
        let servers = items(root.get("servers"));
        let base = servers
            .first()
            .and_then(|server| server.get("variables")?.get("basePath"))
            .and_then(|base| text(base, "default"))
            .ok_or_else(|| format!("{file} names no base path"))?;
        let module = snake(stem(file));
        self.module(&module).about = format!("The operations of `{}`.", stem(file));
        for (path, methods) in root.get("paths").into_iter().flat_map(entries) {
            check_path(path, methods).map_err(|error| format!("{file}: {error}"))?;
            for method in METHODS {
                let Some(node) = methods.get(method) else {
                    continue;
                };
                // The data adds a space to two paths, so that two operations can share a path.
                let full = format!("{base}{}", path.trim_end());
                let at = NodeRef {
                    file: file.to_owned(),
                    pointer: step(&step("/paths", path), method),
                    node,
                    site: text(node, "operationId").unwrap_or_default().to_owned(),
                };
                // The types of an operation follow it.
                let index = self.module(&module).items.len();
                let operation = self
                    .operation(&at, &module, method, full)
                    .map_err(|error| format!("{file}: {error}"))?;
                let item = Item::Operation(Box::new(operation));
                self.module(&module).items.insert(index, item);
            }
        }
        Ok(())
    }

    fn operation(
        &mut self,
        at: &NodeRef<'a>,
        module: &str,
        method: &str,
        path: String,
    ) -> Result<Operation> {
        let id = at.site.clone();
        let name = self.overrides.text("type_names", &id);
        let name = name.map_or_else(|| pascal(&id), str::to_owned);
        let owner = Owner::operation(module, &name);
        let parameters = self.parameters(at, &path, &owner)?;
        let body = self.request_body(at, method, &owner)?;
        let response = self.response_body(at, &owner)?;
        check_names(&id, &parameters, &body)?;
        let responses = at.node.get("responses");
        let has_response =
            |status| responses.is_some_and(|responses| responses.get(status).is_some());
        let overridden = |section| self.overrides.text(section, &id);
        let since = overridden("since").or_else(|| text(at.node, "x-addedInMatrixVersion"));
        Ok(Operation {
            doc: overridden("docs").map_or_else(|| in_words(&id), str::to_owned),
            auth: overridden("auth").map_or_else(|| auth(at.node), |auth| Ok(auth.to_owned()))?,
            rate_limited: has_response("429"),
            uia: has_response("401") && asks_for_stages(responses)
                || self.overrides.has("uia", &id),
            guests: self.overrides.has("guests", &id),
            since: since.map(str::to_owned),
            deprecated: flag(at.node, "deprecated"),
            retry: self.retry(&id, &path)?,
            request_secrets: self.request_secrets(&body),
            response_secrets: match &response {
                ResponseBody::Json(ty) => self.secrets_of(ty, ""),
                ResponseBody::Content | ResponseBody::Redirect => Vec::new(),
            },
            id,
            name,
            method: method.to_owned(),
            path,
            parameters,
            body,
            response,
        })
    }

    fn parameters(
        &mut self,
        at: &NodeRef<'a>,
        path: &str,
        owner: &Owner,
    ) -> Result<Vec<Parameter>> {
        let mut parameters = Vec::new();
        let list = items(at.node.get("parameters"));
        for (index, node) in list.iter().enumerate() {
            let here = at.below(&["parameters", &index.to_string()], node, at.site.clone());
            let found = self.anchor(&here)?;
            let name = text(found.node, "name").ok_or("a parameter has no name")?;
            let location = match text(found.node, "in") {
                Some("path") => ParameterLocation::Path,
                Some("query") => ParameterLocation::Query,
                Some("header") => ParameterLocation::Header,
                _ => {
                    return Err(format!(
                        "the parameter {name} is not in the path, the query or a header"
                    ));
                }
            };
            let kind = text(found.node, "in").unwrap_or_default();
            let site = format!("{}.{kind}/{name}", at.site);
            let schema = found.node.get("schema");
            let schema = schema.ok_or_else(|| format!("the parameter {name} has no schema"))?;
            let schema = found.below(&["schema"], schema, site.clone());
            // The parameter has the version and the deprecation, its schema the type.
            let facts = NodeRef {
                site,
                ..found.clone()
            };
            let required = flag(found.node, "required");
            let field = self.field(name.to_owned(), required, &[schema, facts], owner)?;
            parameters.push(Parameter { location, field });
        }
        let site = format!("{}.query", at.site);
        let added = self.overrides.get("fields", &site);
        for (name, node) in added.into_iter().flat_map(entries) {
            let site = format!("{site}/{name}");
            let here = NodeRef {
                file: OVERRIDES.to_owned(),
                pointer: format!("/{site}"),
                node,
                site,
            };
            let field = self.field(name.to_owned(), false, &[here], owner)?;
            let location = ParameterLocation::Query;
            parameters.push(Parameter { location, field });
        }
        let position = |parameter: &Parameter| match parameter.location {
            ParameterLocation::Path => path.find(&format!("{{{}}}", parameter.field.wire)),
            _ => None,
        };
        parameters.sort_by_key(|parameter| (parameter.location, position(parameter)));
        Ok(parameters)
    }

    fn request_body(
        &mut self,
        at: &NodeRef<'a>,
        method: &str,
        owner: &Owner,
    ) -> Result<RequestBody> {
        let site = format!("{}.request", at.site);
        let Some(node) = at.node.get("requestBody") else {
            let sends =
                matches!(method, "post" | "put") && !self.overrides.has("no_body", &at.site);
            return Ok(if sends {
                RequestBody::Empty
            } else {
                RequestBody::None
            });
        };
        let body = self.anchor(&at.below(&["requestBody"], node, site.clone()))?;
        let content = body.node.get("content");
        let Some(schema) = json_schema(content) else {
            return Ok(RequestBody::Bytes);
        };
        let steps = ["content", "application/json", "schema"];
        let here = body.below(&steps, schema, site.clone());
        if self.overrides.has("empty_body", &site) {
            return Ok(RequestBody::Empty);
        }
        if let Some(parameter) = self.overrides.text("keyed_body", &site) {
            return Ok(RequestBody::Keyed(parameter.to_owned()));
        }
        let parts = self.parts(std::slice::from_ref(&here))?;
        let (fields, extra) = self.fields(&parts, owner)?;
        if !fields.is_empty() && extra.is_none() {
            return Ok(RequestBody::Fields(fields));
        }
        Ok(RequestBody::Whole(match self.lower(&here, owner)? {
            Type::Object => Type::Raw(None),
            other => other,
        }))
    }

    fn response_body(&mut self, at: &NodeRef<'a>, owner: &Owner) -> Result<ResponseBody> {
        let responses = at.node.get("responses");
        let response = |status| responses?.get(status).map(|node| (status, node));
        let found = response("200").or_else(|| response("302"));
        let (status, node) =
            found.ok_or_else(|| format!("{} describes no successful response", at.site))?;
        let site = format!("{}.response", at.site);
        let response = self.anchor(&at.below(&["responses", status], node, site.clone()))?;
        if status == "302" {
            return Ok(ResponseBody::Redirect);
        }
        let Some(schema) = json_schema(response.node.get("content")) else {
            return Ok(ResponseBody::Content);
        };
        let steps = ["content", "application/json", "schema"];
        let here = response.below(&steps, schema, site.clone());
        let open = schema.get("additionalProperties").is_some();
        Ok(ResponseBody::Json(match self.lower(&here, owner)? {
            Type::Object if !open => self.empty_response(owner),
            other => other,
        }))
    }

    /// The type of a response without fields.
    fn empty_response(&mut self, owner: &Owner) -> Type {
        let name = format!("{}Response", owner.name);
        let empty = Struct {
            name: name.clone(),
            doc: format!("Response to [`{}`]; it has no fields.", owner.name),
            fields: Vec::new(),
            extra: None,
        };
        self.module(&owner.module).items.push(Item::Struct(empty));
        Type::Struct(Path {
            module: owner.module.clone(),
            name,
        })
    }

    fn retry(&self, id: &str, path: &str) -> Result<Option<String>> {
        let named = self.overrides.text("retry", id);
        let named = named.or(path.ends_with("{txnId}").then_some("txn_id"));
        match named {
            None => Ok(None),
            Some("idempotent") => Ok(Some("Idempotent".to_owned())),
            Some("txn_id") => Ok(Some("TxnId".to_owned())),
            Some("only_if_not_processed") => Ok(Some("OnlyIfNotProcessed".to_owned())),
            Some(other) => Err(format!("{id}: `{other}` is not a value for `retry`")),
        }
    }

    fn request_secrets(&self, body: &RequestBody) -> Vec<String> {
        match body {
            RequestBody::Fields(fields) => self.secrets_of_fields(fields, ""),
            RequestBody::Whole(ty) => self.secrets_of(ty, ""),
            _ => Vec::new(),
        }
    }

    /// Pointers to the secrets in a value of this type.
    fn secrets_of(&self, ty: &Type, pointer: &str) -> Vec<String> {
        match ty {
            Type::Secret => vec![pointer.to_owned()],
            Type::HandWritten(_, secrets) => {
                let below = |secret| format!("{pointer}{secret}");
                secrets.iter().map(below).collect()
            }
            Type::Nullable(inner) | Type::StringOr(inner) => self.secrets_of(inner, pointer),
            Type::List(inner) | Type::LenientList(inner) | Type::Map(_, inner) => {
                self.secrets_of(inner, &format!("{pointer}/*"))
            }
            Type::Struct(path) => self.struct_at(path).map_or_else(Vec::new, |found| {
                self.secrets_of_fields(&found.fields, pointer)
            }),
            _ => Vec::new(),
        }
    }

    fn secrets_of_fields(&self, fields: &[Field], pointer: &str) -> Vec<String> {
        fields
            .iter()
            .flat_map(|field| self.secrets_of(&field.ty, &step(pointer, &field.wire)))
            .collect()
    }
}

/// Rejects anything beside operations of the known methods, so that it is not ignored.
fn check_path(path: &str, node: &Node) -> Result<()> {
    let unknown = |(key, _): &(&str, &Node)| !METHODS.contains(key) && !key.starts_with("x-");
    match entries(node).find(unknown) {
        Some((key, _)) => Err(format!(
            "{path}: the generator does not support `{key}` beside the operations of a path"
        )),
        None => Ok(()),
    }
}

fn json_schema(content: Option<&Node>) -> Option<&Node> {
    content?.get("application/json")?.get("schema")
}

/// Whether the 401 response is that of user-interactive authentication.
fn asks_for_stages(responses: Option<&Node>) -> bool {
    let schema = || json_schema(responses?.get("401")?.get("content"));
    schema()
        .and_then(|schema| text(schema, "$ref"))
        .is_some_and(|reference| reference.ends_with("auth_response.yaml"))
}

/// The token that an operation takes, by its `security`.
fn auth(node: &Node) -> Result<String> {
    let schemes = items(node.get("security"));
    let name = |scheme: &Node| entries(scheme).next().map(|(name, _)| name.to_owned());
    let names: Vec<Option<String>> = schemes.iter().map(name).collect();
    let names: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
    Ok(match names.as_slice() {
        [] => "None",
        [None, Some("accessTokenQuery"), Some("accessTokenBearer")] => "Optional",
        [Some("accessTokenQuery"), Some("accessTokenBearer")] => "Required",
        [
            Some("appserviceAccessTokenQuery"),
            Some("appserviceAccessTokenBearer"),
        ] => "Appservice",
        [Some("homeserverAccessToken")] => "Homeserver",
        other => {
            return Err(format!(
                "the generator does not know the security {other:?}; add an entry to `auth`"
            ));
        }
    }
    .to_owned())
}

fn check_names(id: &str, parameters: &[Parameter], body: &RequestBody) -> Result<()> {
    let mut names: Vec<&str> = parameters
        .iter()
        .map(|parameter| parameter.field.name.as_str())
        .collect();
    match body {
        RequestBody::Fields(fields) => names.extend(fields.iter().map(|field| field.name.as_str())),
        RequestBody::Whole(_) | RequestBody::Bytes => names.push("body"),
        RequestBody::Keyed(_) => names.push("value"),
        RequestBody::None | RequestBody::Empty => {}
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{id} has two parameters named {}", pair[0])),
        None => Ok(()),
    }
}

/// The operation id as words.
fn in_words(id: &str) -> String {
    format!("{}.", snake(id).replace('_', " "))
}
