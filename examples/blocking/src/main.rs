//! Registers an account without a runtime, and asks who it is.
//!
//! `cargo run -p matricula-example-blocking SERVER NAME`: the password is read from the standard input.
//! The server must ask for nothing but that somebody registers; `matricula`'s sessions know what else
//! servers ask for.
#![allow(
    clippy::print_stdout,
    reason = "a program that people start and look at"
)]

use std::{env, error::Error, io};

use matricula_api::{
    ApiError, Endpoint,
    client::{registration::Register, whoami::WhoAmI},
    uia::{AuthData, Stage},
};
use matricula_core::{
    Auth, CredentialRef, Job, Secret, ServerUrl,
    scheduler::{Event, Outcome},
};
use matricula_http::{HttpOptions, blocking::Runner};

fn main() -> Result<(), Box<dyn Error>> {
    let [server, name] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("name the server and the account".into());
    };
    let server: ServerUrl = server.parse()?;
    let password = Secret::from(io::read_to_string(io::stdin())?.trim_end());
    let runner = Runner::new(HttpOptions::default());

    let wish = Register::default().username(name).password(password);
    let made = match call::<Register>(&runner, wish.job(&server)) {
        Err(Failure::Api(ApiError::Uia(asked))) => {
            let nothing_more = AuthData::stage(Stage::Dummy, asked.session.clone());
            call::<Register>(&runner, wish.auth(nothing_more).job(&server))?
        }
        answered => answered?,
    };
    println!("{} is there", made.user_id);

    let me = CredentialRef::new(made.user_id.as_str());
    let token = made.access_token.ok_or("the server gave no token")?;
    runner
        .credentials()
        .insert(me.clone(), server.clone(), token);
    let question = WhoAmI::default().job(&server);
    let owner = call::<WhoAmI>(&runner, question.with_auth(Auth::Required(me)))?;
    println!("the server knows us as {}", owner.user_id);
    Ok(())
}

/// Runs a job of this operation to its end, on this thread.
fn call<E: Endpoint>(runner: &Runner, job: Job) -> Result<E::Response, Failure> {
    let outcome = runner.run(job, |event| {
        if let Event::Waiting { reason: why, .. } = event {
            println!("waits: {why:?}");
        }
    });
    match outcome {
        Outcome::Responded(response) => E::read(&response).map_err(Failure::Api),
        other => Err(Failure::Ended(Box::new(other))),
    }
}

/// Why there is no answer that is hoped for.
#[derive(Debug)]
enum Failure {
    Api(ApiError),
    Ended(Box<Outcome>),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api(error) => error.fmt(f),
            Self::Ended(outcome) => match &**outcome {
                Outcome::Failed(error) | Outcome::InDoubt(error) => error.fmt(f),
                other => write!(f, "{other:?}"),
            },
        }
    }
}

impl Error for Failure {}
