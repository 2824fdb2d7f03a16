//! Registers an account without an async runtime, and calls `whoami`.
//!
//! `cargo run -p matricula-example-blocking SERVER USERNAME` reads the password from standard input. It
//! completes only the dummy stage; `matricula::register` handles everything that servers require.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints its results"
)]

use std::{env, error::Error, io, process::ExitCode};

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

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matricula-example-blocking: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let [server, username] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: matricula-example-blocking SERVER USERNAME".into());
    };
    let server: ServerUrl = server.parse()?;
    let password = Secret::from(io::read_to_string(io::stdin())?.trim_end());
    let runner = Runner::new(HttpOptions::default());

    let request = Register::default().username(username).password(password);
    let account = match call::<Register>(&runner, request.job(&server)) {
        Err(CallError::Api(ApiError::Uia(uia))) => {
            let dummy = AuthData::stage(Stage::Dummy, uia.session.clone());
            call::<Register>(&runner, request.auth(dummy).job(&server))?
        }
        result => result?,
    };
    println!("registered {}", account.user_id);

    let credential = CredentialRef::new(account.user_id.as_str());
    let token = account.access_token.ok_or("the server gave no token")?;
    runner
        .credentials()
        .insert(credential.clone(), server.clone(), token);
    let job = WhoAmI::default().job(&server);
    let response = call::<WhoAmI>(&runner, job.with_auth(Auth::Required(credential)))?;
    println!("logged in as {}", response.user_id);
    Ok(())
}

/// Runs a job of this operation on this thread.
fn call<E: Endpoint>(runner: &Runner, job: Job) -> Result<E::Response, CallError> {
    let mut handle = runner
        .submit(job)
        .map_err(|error| CallError::Ended(Box::new(error.into_outcome())))?;
    for event in handle.by_ref() {
        if let Event::Waiting { reason, .. } = event {
            println!("waiting: {reason}");
        }
    }
    match handle.wait() {
        Outcome::Responded(response) => E::read(&response).map_err(CallError::Api),
        other => Err(CallError::Ended(Box::new(other))),
    }
}

/// Why a call has no successful response.
#[derive(Debug)]
enum CallError {
    Api(ApiError),
    Ended(Box<Outcome>),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api(error) => error.fmt(f),
            Self::Ended(outcome) => outcome.fmt(f),
        }
    }
}

impl Error for CallError {}
