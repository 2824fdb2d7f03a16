//! `matricula register --from … --run …`: creates the accounts of a list.

mod credentials;
mod dry_run;
mod errors;
mod progress;
mod undo;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use matricula::{
    admin::AdminError,
    bulk::{
        BulkMachine, BulkRegistration, Counts, NewRow, RequestCounts, ResultFormat, Route, Run,
        RunInfo, UserList, estimate, read_csv,
    },
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    args::Register,
    error::CommandError,
    output::duration,
    shell::shell_word,
    text::{count, count_are},
};
use credentials::{OpenServer, open_as_administrator, open_server};
use errors::list_error;
use progress::Progress;

pub(crate) async fn run(context: &Context<'_>, options: Register) -> Result<(), CommandError> {
    if options.bulk.undo {
        return undo::run(context, &options).await;
    }
    let list = match &options.bulk.from {
        Some(path) => Some(read_list(context, path)?),
        None => None,
    };
    if options.dry_run {
        let Some(list) = list else {
            let text = "name the list to check with --from FILE";
            return Err(CommandError::Usage(text.into()));
        };
        return interruptible(dry_run::run(context, &options, &list)).await;
    }
    let rows = list.map(|list| list.rows);
    let Some(name) = options.bulk.run.clone() else {
        let text = "give the run a name with --run NAME; by it, an interrupted run is resumed";
        return Err(CommandError::Usage(text.into()));
    };
    let mut run = Run::open(&context.home.runs(), &name)?;
    let is_new = run.run_log().entries().is_empty();
    match (&rows, is_new) {
        (None, true) => {
            let text = format!("there is no run {name} yet; start it with --from FILE");
            return Err(CommandError::Usage(text));
        }
        (Some(rows), false) if !has_rows(&run, rows) => {
            let text = format!("the run {name} has another list; give this one another name");
            return Err(CommandError::Usage(text));
        }
        _ => {}
    }
    let info = run.info().filter(|_| !is_new).cloned();
    let server = interruptible(open_server(context, &options, info.as_ref())).await?;
    let mut machine = match rows.filter(|_| is_new) {
        Some(rows) => start(context, &options, &mut run, &server, rows)?,
        None => resume(context, &options, &run, &server),
    };
    let result = drive(context, &mut run, &mut machine, &server, "created").await?;
    report(context, &options, &run, machine.run_log().counts(), result)
}

/// Checks a new list, prints how long it will take, and sets the run's info.
fn start(
    context: &Context<'_>,
    options: &Register,
    run: &mut Run,
    server: &OpenServer,
    rows: Vec<NewRow>,
) -> Result<BulkRegistration, CommandError> {
    let errors = server.check_rows(&rows);
    if !errors.is_empty() {
        return Err(list_error(context, &errors));
    }
    let route = server.credentials.route();
    print_estimates(context, rows.len(), route);
    let result_path = match &options.bulk.result {
        Some(path) => std::path::absolute(path)?,
        None => context.home.runs().join(format!("{}.csv", run.name())),
    };
    if result_path.symlink_metadata().is_ok() {
        let text = format!(
            "{} exists already; move it away, or name another file with --result",
            result_path.display()
        );
        return Err(CommandError::Usage(text));
    }
    run.set_info(RunInfo {
        server: server.credentials.server().clone(),
        server_name: server.server_name(),
        route,
        result_format: ResultFormat::for_path(&result_path),
        result_path,
    })?;
    let policy = server.password_policy.as_ref();
    let min_length = policy.map_or(0, |policy| policy.minimum_length);
    let concurrency = usize::from(options.bulk.jobs);
    let machine = BulkRegistration::new(server.credentials.clone(), rows, concurrency);
    Ok(machine.min_password_length(min_length))
}

fn resume(
    context: &Context<'_>,
    options: &Register,
    run: &Run,
    server: &OpenServer,
) -> BulkRegistration {
    let counts = run.run_log().counts();
    context.output.say(&format!(
        "resuming the run {}: {} of {} finished",
        run.name(),
        counts.finished(),
        count(counts.rows, "row")
    ));
    let concurrency = usize::from(options.bulk.jobs);
    BulkRegistration::resume(
        server.credentials.clone(),
        run.run_log().clone(),
        concurrency,
    )
}

/// Prints how long the run takes by each route, and what that is based on.
fn print_estimates(context: &Context<'_>, rows: usize, chosen: Route) {
    context.output.say(&format!(
        "{} by the route {chosen}. With Synapse's default rate limits, this takes about:",
        count(rows, "row")
    ));
    for estimate in estimate(rows) {
        let mark = if estimate.route == chosen { "*" } else { " " };
        let (route, time) = (estimate.route.name(), duration(estimate.duration));
        let basis = estimate.basis;
        context
            .output
            .say(&format!("{mark} {route:<13} {time:>8}  ({basis})"));
    }
}

/// How a run ended.
struct DriveResult {
    /// The error that stopped it, if one did.
    stopped_by: Option<AdminError>,
    was_interrupted: bool,
    requests: RequestCounts,
}

/// Drives the run. The first Ctrl-C stops it gracefully, the second immediately.
async fn drive(
    context: &Context<'_>,
    run: &mut Run,
    machine: &mut impl BulkMachine,
    server: &OpenServer,
    verb: &'static str,
) -> Result<DriveResult, CommandError> {
    let was_interrupted = std::cell::Cell::new(false);
    let output = context.output;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
        was_interrupted.set(true);
        output.warn("stopping: nothing more is sent; waiting for the requests in flight");
    };
    let abort = async {
        let _ = tokio::signal::ctrl_c().await;
        let _ = tokio::signal::ctrl_c().await;
    };
    let mut progress = Progress::start(context.output, machine.run_log().counts(), verb);
    let runner = server.runner(context)?;
    let driven = run.drive(
        machine,
        &runner,
        server.session.as_ref(),
        stop,
        |machine, _, requests| progress.update(machine.run_log(), requests),
    );
    let result = tokio::select! {
        result = driven => result,
        () = abort => return Err(CommandError::Interrupted),
    };
    progress.finish();
    let result = result?;
    Ok(DriveResult {
        stopped_by: result.stopped_by,
        was_interrupted: was_interrupted.get(),
        requests: result.requests,
    })
}

/// Prints the result, and fails unless all rows are created or existed.
fn report(
    context: &Context<'_>,
    options: &Register,
    run: &Run,
    counts: Counts,
    result: DriveResult,
) -> Result<(), CommandError> {
    let result_path = run.info().map(|info| info.result_path.clone());
    let object = summary(run.name(), counts, result_path.as_deref(), result.requests);
    context.output.result(&result_text(counts), &object);
    if let Some(path) = &result_path {
        let path = path.display();
        context.output.say(&format!(
            "passwords and results are in {path}, which only you can read"
        ));
    }
    let next = Some(resume_command(context, options, run.name()));
    let (message, exit_code, next) = if let Some(error) = result.stopped_by {
        let error = CommandError::from(matricula::Error::from(error));
        let message = format!("the run was stopped: {}", error.message());
        (message, error.exit_code(), next)
    } else if result.was_interrupted && counts.not_begun + counts.in_doubt > 0 {
        let exit_code = CommandError::Interrupted.exit_code();
        ("interrupted".to_owned(), exit_code, next)
    } else if counts.in_doubt > 0 {
        let rows = counts.in_doubt;
        let message = format!(
            "{} in doubt; resume the run to settle this",
            count_are(rows, "row")
        );
        (message, 1, next)
    } else if counts.failed + counts.incomplete > 0 {
        let rows = count(counts.failed + counts.incomplete, "row");
        let message = format!("{rows} failed or incomplete; the result file says why");
        (message, 1, None)
    } else {
        return Ok(());
    };
    Err(CommandError::Reported {
        message,
        exit_code,
        next,
    })
}

fn result_text(counts: Counts) -> String {
    let parts = [
        (counts.done, "created"),
        (counts.incomplete, "created in part"),
        (counts.exists, "existed already"),
        (counts.failed, "failed"),
        (counts.in_doubt, "in doubt"),
        (counts.not_begun, "not begun"),
        (counts.undone, "deactivated again"),
    ];
    let parts = parts
        .iter()
        .filter(|(count, status)| *count > 0 || *status == "created");
    let parts: Vec<String> = parts
        .map(|(count, status)| format!("{count} {status}"))
        .collect();
    format!("{}: {}", count(counts.rows, "row"), parts.join(", "))
}

fn summary(
    name: &str,
    counts: Counts,
    result_path: Option<&Path>,
    requests: RequestCounts,
) -> Value {
    let mut object = json!(counts);
    object["schema_version"] = json!(1);
    object["run"] = json!(name);
    object["result"] = json!(result_path);
    object["requests"] = json!(requests.sent);
    object["rate_limited"] = json!(requests.rate_limited);
    object
}

/// The command that resumes the run. It names the files of secrets again, because no run stores them.
fn resume_command(context: &Context<'_>, options: &Register, name: &str) -> String {
    let mut command = format!("register --run {}", shell_word(name));
    let mut add = |option: &str, value: &str| {
        command += &format!(" {option} {}", shell_word(value));
    };
    let files: [(&str, &Option<PathBuf>); 3] = [
        ("--shared-secret-file", &options.bulk.shared_secret_file),
        ("--token-file", &options.token_file),
        ("--appservice-token-file", &options.appservice_token_file),
    ];
    for (option, path) in files {
        if let Some(path) = path {
            add(option, &path.display().to_string());
        }
    }
    if let Some(account) = &options.account {
        add("--account", account);
    }
    if options.accept_terms {
        command += " --accept-terms";
    }
    context.command(&command)
}

fn has_rows(run: &Run, rows: &[NewRow]) -> bool {
    let stored = run.run_log().entries().iter().map(|entry| &entry.row);
    stored.eq(rows)
}

/// Reads the list. Warns about columns that it ignores; and if it has passwords, and other users of the
/// machine can read it.
fn read_list(context: &Context<'_>, path: &Path) -> Result<UserList, CommandError> {
    let text = read_file(path).map_err(|error| {
        CommandError::Usage(format!(
            "the list {} cannot be read: {error}",
            path.display()
        ))
    })?;
    let list = read_csv(&text).map_err(|errors| list_error(context, &errors))?;
    for name in &list.ignored_columns {
        context.output.warn(&format!(
            "the column {name:?} is ignored; the columns are username, password, displayname, email \
             and admin"
        ));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 && list.rows.iter().any(|row| row.password.is_some()) {
            let path = shell_word(&path.display().to_string());
            context.output.warn(&format!(
                "the list contains passwords, and other users can read it: chmod 600 {path}"
            ));
        }
    }
    Ok(list)
}

/// Reads a file to its end, which must come.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    /// The maximum size in bytes, far more than the maximum number of rows needs.
    const MAX_SIZE: u64 = 512 << 20;
    let mut text = Vec::new();
    let mut file = File::open(path)?.take(MAX_SIZE + 1);
    file.read_to_end(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(io::Error::other("it is larger than 512 MiB"));
    }
    Ok(text)
}

/// Ends with Ctrl-C, like every other command.
async fn interruptible<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
    }
}
