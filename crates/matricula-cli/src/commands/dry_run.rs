//! `--dry-run`: the requests that would be sent, secrets masked.

use matricula::{
    Error,
    admin::SharedSecretRegistration,
    api::{Endpoint, client::registration::CheckUsernameAvailability},
    auth::{
        AppserviceRegistration, Conversation, Discovery, Effect, Event, Input, Registration,
        RegistrationOptions, ServerAddress, ServerInfo,
    },
    core::{Body, EffectId, Job, Response, ServerUrl, StepContext, scheduler::Outcome},
    runner::{SystemClock, SystemEntropy},
};
use serde_json::{Value, json};

use super::Context;
use crate::error::CommandError;

/// Prints the requests of a registration up to the first response that decides the next step.
pub(crate) fn register(
    context: &Context<'_>,
    server: Option<&str>,
    options: RegistrationOptions,
) -> Result<(), CommandError> {
    let address: ServerAddress = match server {
        Some(server) => context.address(server)?,
        None => {
            // The address of the private server is known only when it runs.
            let private: ServerUrl = "http://private.localhost"
                .parse()
                .map_err(|error| CommandError::other(format!("{error}")))?;
            ServerAddress::Url(private)
        }
    };
    let info = ServerInfo::of(address.url().clone());
    let mut jobs = sends(&mut Discovery::new(address), Input::Start);
    let mut registration = Registration::new(&info, options);
    let mut next = sends(&mut registration, Input::Start);
    if let Some(check) = next
        .iter()
        .position(|job| job.0.operation_id() == CheckUsernameAvailability::OPERATION.id)
    {
        let (job, id) = &next[check];
        let free = Response::new(200, Vec::new(), Body::Json(r#"{"available":true}"#.into()));
        let input = Input::Outcome(*id, Outcome::Responded(job.respond(free)));
        let more = sends(&mut registration, input);
        next.extend(more);
    }
    jobs.extend(next);
    print(context, jobs);
    Ok(())
}

/// Prints the requests of a registration for an application service.
pub(crate) fn appservice(
    context: &Context<'_>,
    address: ServerAddress,
    registration: &mut AppserviceRegistration,
) {
    let mut jobs = sends(&mut Discovery::new(address), Input::Start);
    jobs.extend(sends(registration, Input::Start));
    print(context, jobs);
}

/// Prints the requests of a registration with the shared secret.
pub(crate) fn admin_register(
    context: &Context<'_>,
    address: ServerAddress,
    mut registration: SharedSecretRegistration,
) {
    let mut jobs = sends(&mut Discovery::new(address), Input::Start);
    let mut next = sends(&mut registration, Input::Start);
    if let Some((job, id)) = next.first() {
        let nonce = Response::new(200, Vec::new(), Body::Json(r#"{"nonce":"NONCE"}"#.into()));
        let input = Input::Outcome(*id, Outcome::Responded(job.respond(nonce)));
        let more = sends(&mut registration, input);
        next.extend(more);
    }
    jobs.extend(next);
    print(context, jobs);
}

fn print(context: &Context<'_>, jobs: Vec<(Job, EffectId)>) {
    let jobs: Vec<Job> = jobs.into_iter().map(|(job, _)| job).collect();
    show(context, &jobs);
}

/// Prints the first requests of a conversation.
pub(super) fn conversation<C: Conversation>(
    context: &Context<'_>,
    conversation: &mut C,
) -> Result<(), CommandError>
where
    Error: From<C::Error>,
{
    let step = conversation.step(
        &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
        Input::Start,
    );
    let mut jobs = Vec::new();
    for effect in step.effects {
        if let Effect::Send(_, job) = effect {
            jobs.push(*job);
        }
    }
    for event in step.events {
        if let Event::Finished(Err(error)) = event {
            return Err(Error::from(error).into());
        }
    }
    show(context, &jobs);
    Ok(())
}

/// Prints requests instead of sending them.
pub(super) fn show(context: &Context<'_>, jobs: &[Job]) {
    let requests: Vec<Value> = jobs.iter().map(describe).collect();
    let lines: Vec<String> = jobs.iter().map(words).collect();
    context.output.result(
        &lines,
        &json!({ "schema_version": 1, "requests": requests }),
    );
    context
        .output
        .say("nothing was sent; what comes after these depends on the server's answers");
}

fn sends<C: Conversation>(conversation: &mut C, input: Input) -> Vec<(Job, EffectId)> {
    let step = conversation.step(
        &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
        input,
    );
    let jobs = step.effects.into_iter().filter_map(|effect| match effect {
        Effect::Send(id, job) => Some((*job, id)),
        _ => None,
    });
    jobs.collect()
}

fn body(job: &Job) -> Option<String> {
    match job.request_body() {
        Body::Empty => None,
        Body::File(file) => Some(format!("(the file {})", file.path.display())),
        _ => Some(job.masked_body()),
    }
}

/// The request as JSON, secrets masked.
pub(super) fn describe(job: &Job) -> Value {
    json!({
        "operation": job.operation_id(),
        "method": job.request_method().as_str(),
        "url": job.masked_url(),
        "query": job.masked_query(),
        "body": body(job).and_then(|body| serde_json::from_str::<Value>(&body).ok()),
    })
}

/// The request as text, secrets masked.
pub(super) fn words(job: &Job) -> String {
    let mut line = format!("{:4} {}", job.request_method(), job.masked_url());
    for (at, (name, value)) in job.masked_query().iter().enumerate() {
        line += &format!("{}{name}={value}", if at == 0 { '?' } else { '&' });
    }
    if let Some(body) = body(job) {
        line += &format!(" {body}");
    }
    line
}
