//! The arguments of a call: each is put into its place in the request.

use std::{borrow::Cow, io::Read, path::Path};

use matricula::core::{Body, FileRef, Job, ResponseFormat, Secret, ServerUrl, mask_json};
use matricula_api::server::{
    AnyEndpoint, FromText, IncomingRequest, Parameter, ParameterLocation, ParameterType,
};
use serde_json::{Map, Value};

use super::{closest, name, usage};
use crate::{
    args::ApiCall,
    commands::{Context, files, read_secret},
    error::CommandError,
    terminal::Terminal,
};

type Pairs = Vec<(Cow<'static, str>, String)>;

/// The parts of a request to an operation.
#[derive(Default)]
pub(super) struct Arguments {
    path: Vec<(&'static str, String)>,
    query: Pairs,
    headers: Pairs,
    body: Body,
}

impl Arguments {
    /// Reads the arguments and the files that they name.
    ///
    /// It reports all mistakes at once.
    pub(super) fn read(
        context: &Context<'_>,
        endpoint: &'static AnyEndpoint,
        options: &ApiCall,
    ) -> Result<Self, CommandError> {
        let mut reader = Reader {
            endpoint,
            terminal: Terminal::new(context.output, context.no_input),
            request: Self::default(),
            given: Vec::new(),
            fields: Map::new(),
            problems: Vec::new(),
        };
        reader.check_stdin(options);
        if reader.problems.is_empty() {
            for word in options.arguments.iter().enumerate() {
                reader.word(word)?;
            }
            reader.body(options)?;
            reader.missing(options)?;
        }
        if reader.problems.is_empty() {
            reader.finish_body();
        }
        match reader.problems.is_empty() {
            true => Ok(reader.request),
            false => Err(usage(context, endpoint, &reader.problems.join("; "))),
        }
    }

    /// Whether the response is a file, by the operation's types.
    pub(super) fn are_for_a_download(
        &self,
        context: &Context<'_>,
        endpoint: &AnyEndpoint,
    ) -> Result<bool, CommandError> {
        let anywhere: ServerUrl = "http://localhost"
            .parse()
            .map_err(|error| CommandError::other(format!("{error}")))?;
        let job = self.job(context, endpoint, &anywhere)?;
        Ok(*job.response_format() == ResponseFormat::Bytes)
    }

    /// The request as a job for `server`, checked by the operation's types.
    pub(super) fn job(
        &self,
        context: &Context<'_>,
        endpoint: &AnyEndpoint,
        server: &ServerUrl,
    ) -> Result<Job, CommandError> {
        let path: Vec<(&str, &str)> = self
            .path
            .iter()
            .map(|(name, text)| (*name, &**text))
            .collect();
        let Some(request) = IncomingRequest::of_path(&endpoint.operation, &path) else {
            let message = "a part of the path is missing";
            return Err(usage(context, endpoint, message));
        };
        let request = request
            .with_query(self.query.clone())
            .with_headers(self.headers.clone())
            .with(self.body.clone());
        endpoint
            .job(&request, server)
            .map_err(|error| usage(context, endpoint, &error.to_string()))
    }
}

/// A value of the command line.
enum Given {
    Text(String),
    Json(Value),
    Secret(Secret),
}

struct Reader {
    endpoint: &'static AnyEndpoint,
    terminal: Terminal,
    request: Arguments,
    /// The named parameters.
    given: Vec<Parameter>,
    /// The fields of the body.
    fields: Map<String, Value>,
    problems: Vec<String>,
}

impl Reader {
    fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + use<> {
        self.endpoint.parameters.iter()
    }

    fn has(&self, whole: Parameter) -> bool {
        self.parameters().any(|known| *known == whole)
    }

    fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    /// Standard input can be read only once.
    fn check_stdin(&mut self, options: &ApiCall) {
        let words = options
            .arguments
            .iter()
            .filter(|word| word.ends_with("=@-"));
        let body = usize::from(options.json_body.as_deref() == Some("-"));
        let body_file = options.body_file.as_deref();
        let body = body + usize::from(body_file.is_some_and(files::is_stream));
        if words.count() + body + usize::from(options.token_stdin) > 1 {
            self.problem("standard input can be one thing only".to_owned());
        }
    }

    fn word(&mut self, (at, word): (usize, &String)) -> Result<(), CommandError> {
        let Some((name, is_json, text)) = parts(word) else {
            // The message does not repeat the argument: it may be a password.
            let nth = at + 1;
            self.problem(format!("argument {nth} is not of the form NAME=VALUE"));
            return Ok(());
        };
        let takes_pairs = self
            .parameters()
            .any(|known| known.kind == ParameterType::Pairs);
        let is_known = self.parameters().any(|known| known.name == name);
        if takes_pairs && !is_known {
            self.request
                .query
                .push((name.to_owned().into(), text.to_owned()));
            return Ok(());
        }
        let Some(parameter) = self.find(name, is_json) else {
            return Ok(());
        };
        if self.given.contains(parameter) && parameter.kind != ParameterType::Texts {
            self.problem(format!("{name} is given twice"));
            return Ok(());
        }
        self.given.push(*parameter);
        let given = match (parameter.secret, is_json) {
            (true, _) => self.secret(parameter, text)?.map(Given::Secret),
            (false, true) => self.json(parameter, text).map(Given::Json),
            (false, false) => Some(Given::Text(text.to_owned())),
        };
        if let Some(given) = given {
            self.put(parameter, given);
        }
        Ok(())
    }

    /// The parameter of this name, or an error that suggests one.
    fn find(&mut self, name: &str, is_json: bool) -> Option<&'static Parameter> {
        let is_named = |known: &&Parameter| match known.location {
            ParameterLocation::Header => known.name.eq_ignore_ascii_case(name),
            _ => known.name == name && !is_whole(known) && known.kind != ParameterType::Pairs,
        };
        // JSON means a field of the body, if another parameter has the same name.
        let fields = |known: &&Parameter| is_json && known.location == ParameterLocation::Body;
        let named = || self.parameters().filter(is_named);
        let found = named().find(fields).or_else(|| named().next());
        let whole = self
            .parameters()
            .find(|known| known.name == name && is_whole(known));
        match (found, whole) {
            (Some(found), _) if is_json && found.location != ParameterLocation::Body => {
                self.problem(format!(
                    "{name} is no field of the body: write {name}=VALUE"
                ));
                None
            }
            (Some(found), _) => Some(found),
            (None, Some(whole)) => {
                let option = option_of(whole);
                self.problem(format!("the body is given with {option}"));
                None
            }
            (None, None) => {
                self.unknown(name);
                None
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        let id = self.endpoint.operation.id;
        let names = self
            .parameters()
            .filter(|known| !is_whole(known))
            .map(|known| known.name);
        let hint = match closest(name, names) {
            Some(close) => format!("; did you mean {close}?"),
            None if self.has(Parameter::WHOLE_BODY) => {
                "; what belongs into the body is given with --json-body".to_owned()
            }
            None => String::new(),
        };
        self.problem(format!("{id} takes no {name:?}{hint}"));
    }

    /// A secret from a file or standard input, because others can see the arguments of a process.
    fn secret(
        &mut self,
        parameter: &Parameter,
        text: &str,
    ) -> Result<Option<Secret>, CommandError> {
        let name = parameter.name;
        let Some(file) = text.strip_prefix('@').filter(|file| !file.is_empty()) else {
            self.problem(format!(
                "{name} is a secret, and everyone on this machine can see what is typed here: \
                 give {name}=@FILE, or {name}=@- for standard input"
            ));
            return Ok(None);
        };
        match file {
            "-" if self.terminal.has_person() => self.terminal.secret(name).map(Some),
            "-" => read_secret(true, None, name),
            file => read_secret(false, Some(Path::new(file)), name),
        }
    }

    fn json(&mut self, parameter: &Parameter, text: &str) -> Option<Value> {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                let name = parameter.name.to_owned();
                self.refuse_secrets(&Value::Object(Map::from_iter([(name, value.clone())])));
                Some(value)
            }
            Err(error) => {
                self.problem(format!("{} is not JSON: {error}", parameter.name));
                None
            }
        }
    }

    fn put(&mut self, parameter: &'static Parameter, given: Given) {
        if parameter.location == ParameterLocation::Body {
            return self.put_field(parameter, given);
        }
        let text = match given {
            Given::Text(text) => text,
            Given::Secret(secret) => secret.expose().to_owned(),
            Given::Json(json) => json.to_string(),
        };
        match parameter.location {
            ParameterLocation::Path => self.request.path.push((parameter.name, text)),
            ParameterLocation::Header => self.request.headers.push((parameter.name.into(), text)),
            _ => self.request.query.push((parameter.name.into(), text)),
        }
    }

    fn put_field(&mut self, parameter: &Parameter, given: Given) {
        let name = parameter.name;
        let value = match (given, parameter.kind) {
            (Given::Json(value), _) => Ok(value),
            (Given::Secret(secret), _) => Ok(Value::from(secret.expose())),
            (Given::Text(text), ParameterType::Integer) => i64::from_text(&text).map(Value::from),
            (Given::Text(text), ParameterType::Boolean) => bool::from_text(&text).map(Value::from),
            (Given::Text(text), ParameterType::Texts) => {
                let all = self
                    .fields
                    .entry(name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                match all {
                    Value::Array(all) => all.push(Value::from(text)),
                    _ => self.problem(format!("{name} is given twice")),
                }
                return;
            }
            (Given::Text(text), _) => Ok(Value::from(text)),
        };
        match value {
            Ok(value) if self.fields.contains_key(name) => {
                drop(value);
                self.problem(format!("{name} is given twice"));
            }
            Ok(value) => drop(self.fields.insert(name.to_owned(), value)),
            Err(reason) => self.problem(format!("{name} is not valid: {reason}")),
        }
    }

    /// The options that contain or name the body.
    fn body(&mut self, options: &ApiCall) -> Result<(), CommandError> {
        let takes_bytes = self.has(Parameter::BYTES);
        if let Some(file) = &options.body_file {
            if !takes_bytes {
                let id = self.endpoint.operation.id;
                self.problem(format!("{id} takes no --body-file"));
            } else if files::is_stream(file) {
                let mut body = Vec::new();
                let read = std::io::stdin().read_to_end(&mut body);
                read.map_err(|error| {
                    CommandError::Usage(format!("the body from standard input: {error}"))
                })?;
                self.request.body = Body::Bytes(body);
            } else {
                match std::fs::metadata(file) {
                    Err(error) => self.problem(format!("{}: {error}", file.display())),
                    Ok(_) => {
                        if let Err(error) = files::length(file) {
                            self.problem(error.message());
                        }
                    }
                }
                self.request.body = Body::File(FileRef::new(file));
            }
        }
        let Some(given) = &options.json_body else {
            return Ok(());
        };
        if takes_bytes
            || !self
                .parameters()
                .any(|known| known.location == ParameterLocation::Body)
        {
            let id = self.endpoint.operation.id;
            self.problem(format!("{id} takes no --json-body"));
            return Ok(());
        }
        let text = match given.strip_prefix('@') {
            _ if given == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            }
            Some(file) => std::fs::read_to_string(file),
            None => Ok(given.clone()),
        };
        let text = text.map_err(|error| {
            let from = if given == "-" {
                "standard input"
            } else {
                given
            };
            CommandError::Usage(format!("the body from {from}: {error}"))
        })?;
        // The mark that some editors write before it.
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let is_typed = given != "-" && !given.starts_with('@');
        match serde_json::from_str(&text) {
            Ok(body) if is_typed => self.refuse_secrets(&body),
            Ok(_) => {}
            Err(error) => self.problem(format!("the body is not JSON: {error}")),
        }
        self.request.body = Body::Json(text);
        Ok(())
    }

    /// Asks for missing secrets if a person is there, and reports other missing parameters.
    fn missing(&mut self, options: &ApiCall) -> Result<(), CommandError> {
        let body: Value = serde_json::from_slice(self.request.body.as_bytes()).unwrap_or_default();
        let mut missing = Vec::new();
        for parameter in self.parameters().filter(|one| one.required) {
            let name = parameter.name;
            let is_there = match parameter {
                one if is_whole(one) => self.request.body != Body::Empty,
                one if one.kind == ParameterType::Pairs => true,
                one if one.location == ParameterLocation::Body => body.get(name).is_some(),
                _ => false,
            };
            if is_there || self.given.contains(parameter) {
                continue;
            }
            if parameter.secret && self.terminal.has_person() && !options.dry_run {
                let secret = self.terminal.secret(name)?;
                self.given.push(*parameter);
                self.put(parameter, Given::Secret(secret));
                continue;
            }
            missing.push(form(parameter));
        }
        if !missing.is_empty() {
            self.problem(format!("missing: {}", missing.join(", ")));
        }
        Ok(())
    }

    /// Adds the named fields to the body.
    fn finish_body(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        if fields.is_empty() {
            return;
        }
        let mut body = match &self.request.body {
            Body::Json(text) => serde_json::from_str(text).unwrap_or_default(),
            _ => Value::Object(Map::new()),
        };
        let Some(object) = body.as_object_mut() else {
            return self.problem("the body is no object: fields cannot be put into it".to_owned());
        };
        for (name, value) in fields {
            if object.contains_key(&name) {
                self.problem(format!("{name} is given by name and in --json-body"));
            }
            object.insert(name, value);
        }
        self.request.body = Body::Json(body.to_string());
    }

    /// Rejects secrets in arguments.
    fn refuse_secrets(&mut self, typed: &Value) {
        let text = typed.to_string();
        for pointer in self.endpoint.operation.request_secrets {
            if mask_json(&text, &[pointer]) != text {
                self.problem(format!(
                    "{pointer} of the body is a secret, and everyone on this machine can see what \
                     is typed here: give the body with --json-body @FILE, or - for standard input"
                ));
            }
        }
    }
}

/// The name, whether JSON follows, and the value.
fn parts(word: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, is_json) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = !name.is_empty() && name.chars().all(is_of_names);
    is_name.then_some((name, is_json, value))
}

/// Whether it is the body itself, not a field of it.
pub(super) fn is_whole(parameter: &Parameter) -> bool {
    [Parameter::WHOLE_BODY, Parameter::BYTES].contains(parameter)
}

/// The option for a body without named fields.
pub(super) fn option_of(body: &Parameter) -> &'static str {
    match body.kind {
        ParameterType::Bytes => "--body-file FILE",
        _ => "--json-body JSON",
    }
}

/// How a parameter is given, for help texts.
pub(super) fn form(parameter: &Parameter) -> String {
    let name = parameter.name;
    match parameter {
        one if is_whole(one) => option_of(one).to_owned(),
        one if one.secret => format!("{name}=@FILE"),
        one => match one.kind {
            ParameterType::Json => format!("{name}:=JSON"),
            ParameterType::Pairs => "NAME=TEXT ...".to_owned(),
            ParameterType::Texts => format!("{name}=TEXT ..."),
            ParameterType::Integer => format!("{name}=NUMBER"),
            ParameterType::Boolean => format!("{name}=true|false"),
            _ => format!("{name}=TEXT"),
        },
    }
}

/// An example call with all required parameters.
pub(super) fn example(endpoint: &AnyEndpoint) -> String {
    let needed = endpoint
        .parameters
        .iter()
        .filter(|one| one.required && one.kind != ParameterType::Pairs);
    let words: Vec<String> = needed.map(form).collect();
    format!("api call {} {}", name(&endpoint.operation), words.join(" "))
        .trim_end()
        .to_owned()
}
