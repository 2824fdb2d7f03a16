//! `matricula register --from … --run …`: the accounts of a list.

mod access;
mod check;
mod failures;
mod progress;
mod undo;

use std::path::{Path, PathBuf};

use matricula::{
    auth::AuthError,
    bulk::{
        About, BulkMachine, BulkRegistration, Counts, Format, NewRow, RequestCounts, Run, read_list,
    },
};
use serde_json::{Value, json};

use super::Context;
use crate::{args::Register, error::CommandError, shell::shell_word};
use access::Opened;
use failures::faulty;
use progress::Progress;

pub(crate) async fn run(context: &Context<'_>, options: Register) -> Result<(), CommandError> {
    if options.bulk.undo {
        return undo::run(context, &options).await;
    }
    let rows = match &options.bulk.from {
        Some(path) => Some(read(context, path)?),
        None => None,
    };
    if options.dry_run {
        let Some(rows) = rows else {
            let what = "give the list to be checked with --from FILE";
            return Err(CommandError::Usage(what.into()));
        };
        return interruptible(check::run(context, &options, &rows)).await;
    }
    let Some(name) = options.bulk.run.clone() else {
        let what =
            "give the run a name with --run NAME, under which it goes on where it is stopped";
        return Err(CommandError::Usage(what.into()));
    };
    let mut run = Run::open(&context.home.runs(), &name)?;
    let is_new = run.ledger().entries().is_empty();
    match (&rows, is_new) {
        (None, true) => {
            let what = format!("there is no run {name} yet; begin it with --from FILE");
            return Err(CommandError::Usage(what));
        }
        (Some(rows), false) if !is_list_of(rows, &run) => {
            let what = format!("the run {name} is of another list; give this one another name");
            return Err(CommandError::Usage(what));
        }
        _ => {}
    }
    let about = run.about().filter(|_| !is_new).cloned();
    let opened = interruptible(access::open(context, &options, about.as_ref())).await?;
    let mut machine = match rows.filter(|_| is_new) {
        Some(rows) => begin(context, &options, &mut run, &opened, rows).await?,
        None => {
            let counts = run.ledger().counts();
            context.output.say(&format!(
                "going on with the run {name}: {} of {} rows have ended",
                counts.rows - counts.not_begun - counts.in_doubt,
                counts.rows
            ));
            let ledger = run.ledger().clone();
            BulkRegistration::from_ledger(opened.access.clone(), ledger, at_once(&options))
        }
    };
    let ended = drive(context, &mut run, &mut machine, &opened, "made").await?;
    end(context, &options, &run, machine.ledger().counts(), ended)
}

fn at_once(options: &Register) -> usize {
    usize::from(options.bulk.jobs)
}

/// Checks a new list, tells how long it will take, and says what the run is about.
async fn begin(
    context: &Context<'_>,
    options: &Register,
    run: &mut Run,
    opened: &Opened,
    rows: Vec<NewRow>,
) -> Result<BulkRegistration, CommandError> {
    let faults = opened.faults(&rows);
    if !faults.is_empty() {
        return Err(faulty(context, &faults));
    }
    check::tell_estimates(context, rows.len(), opened.access.route());
    let result = match &options.bulk.result {
        Some(path) => std::path::absolute(path)?,
        None => context.home.runs().join(format!("{}.csv", run.name())),
    };
    if result.exists() {
        let what = format!(
            "{} is there already; move it away, or name another file with --result",
            result.display()
        );
        return Err(CommandError::Usage(what));
    }
    run.begin(About {
        server: opened.access.server().clone(),
        server_name: opened.server_name(),
        route: opened.access.route(),
        format: Format::of(&result),
        result,
    });
    let least = opened.policy.as_ref().map_or(0, |it| it.minimum_length);
    let access = opened.access.clone();
    Ok(BulkRegistration::new(access, rows, at_once(options)).with_passwords_of(least))
}

/// How a run came to its end.
struct Ended {
    /// What the server did to stop it.
    stopped_by: Option<AuthError>,
    was_interrupted: bool,
    traffic: RequestCounts,
}

/// The first Ctrl-C stops the run gracefully, the second at once.
async fn drive(
    context: &Context<'_>,
    run: &mut Run,
    machine: &mut impl BulkMachine,
    opened: &Opened,
    what: &'static str,
) -> Result<Ended, CommandError> {
    let interrupted = std::cell::Cell::new(false);
    let output = context.output;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
        interrupted.set(true);
        output.warn("stopping: nothing more is sent; waiting for what is on the wire");
    };
    let at_once = async {
        let _ = tokio::signal::ctrl_c().await;
        let _ = tokio::signal::ctrl_c().await;
    };
    let mut progress = Progress::begin(context.output, machine.ledger().counts(), what);
    let runner = opened.runner(context);
    let driven = run.drive(
        machine,
        &runner,
        opened.session.as_ref(),
        stop,
        |machine, _, traffic| progress.tell(machine.ledger(), traffic),
    );
    let result = tokio::select! {
        result = driven => result,
        () = at_once => return Err(CommandError::Interrupted),
    };
    progress.end();
    let (stopped_by, traffic) = result?;
    Ok(Ended {
        stopped_by,
        was_interrupted: interrupted.get(),
        traffic,
    })
}

/// Tells what became of the rows.
fn end(
    context: &Context<'_>,
    options: &Register,
    run: &Run,
    counts: Counts,
    ended: Ended,
) -> Result<(), CommandError> {
    let result = run.about().map(|about| about.result.clone());
    let object = summary(run.name(), counts, result.as_deref(), ended.traffic);
    context.output.result(&words(counts), &object);
    if let Some(result) = &result {
        let path = result.display();
        context.output.say(&format!(
            "passwords and results are in {path}, which only you can read"
        ));
    }
    let resume = resume(context, options, run.name());
    if let Some(error) = ended.stopped_by {
        let failure = CommandError::from(matricula::Error::from(error));
        return Err(CommandError::Reported {
            message: format!("the run was stopped: {}", failure.message()),
            exit_code: failure.exit_code(),
            next: Some(resume),
        });
    }
    if ended.was_interrupted && counts.not_begun + counts.in_doubt > 0 {
        return Err(CommandError::Reported {
            message: "interrupted".to_owned(),
            exit_code: CommandError::Interrupted.exit_code(),
            next: Some(resume),
        });
    }
    if counts.in_doubt > 0 {
        return Err(CommandError::Reported {
            message: format!(
                "{} rows are in doubt; go on with the run to settle them",
                counts.in_doubt
            ),
            exit_code: 1,
            next: Some(resume),
        });
    }
    match counts.failed {
        0 => Ok(()),
        failed => Err(CommandError::Reported {
            message: format!("{failed} rows failed; the result file says why"),
            exit_code: 1,
            next: None,
        }),
    }
}

pub(super) fn words(counts: Counts) -> String {
    let parts = [
        (counts.done, "made"),
        (counts.exists, "there already"),
        (counts.failed, "failed"),
        (counts.in_doubt, "in doubt"),
        (counts.not_begun, "not begun"),
        (counts.undone, "deactivated again"),
    ];
    let parts = parts
        .iter()
        .filter(|(count, what)| *count > 0 || *what == "made");
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!("{} rows: {}", counts.rows, parts.join(", "))
}

fn summary(name: &str, counts: Counts, result: Option<&Path>, traffic: RequestCounts) -> Value {
    let mut object = json!(counts);
    object["schema_version"] = json!(1);
    object["run"] = json!(name);
    object["result"] = json!(result);
    object["requests"] = json!(traffic.requests);
    object["rate_limited"] = json!(traffic.limited);
    object
}

/// The command that goes on: secrets are read from the same files again.
fn resume(context: &Context<'_>, options: &Register, name: &str) -> String {
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

fn is_list_of(rows: &[NewRow], run: &Run) -> bool {
    let kept = run.ledger().entries().iter().map(|entry| &entry.row);
    kept.eq(rows)
}

fn read(context: &Context<'_>, path: &Path) -> Result<Vec<NewRow>, CommandError> {
    let text = std::fs::read(path)
        .map_err(|error| CommandError::Usage(format!("the list in {}: {error}", path.display())))?;
    let rows = read_list(&text).map_err(|faults| faulty(context, &faults))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 && rows.iter().any(|row| row.password.is_some()) {
            let path = shell_word(&path.display().to_string());
            context.output.warn(&format!(
                "the list has passwords in it, and others can read it: chmod 600 {path}"
            ));
        }
    }
    Ok(rows)
}

/// Ends with Ctrl-C, as every other command does.
async fn interruptible<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
    }
}
