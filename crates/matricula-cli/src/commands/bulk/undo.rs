//! `--undo`: deactivates the accounts that a run created.

use matricula::{
    admin::AdminError,
    api::UserId,
    auth::{AuthError, ServerError},
    bulk::{BulkDeactivation, BulkMachine, Run, RunLog},
};

use super::{
    Context, DriveResult, drive, interruptible, open_as_administrator, result_text, summary,
};
use crate::{
    args::Register, error::CommandError, shell::shell_word, terminal::Terminal, text::count_are,
};

pub(super) async fn run(context: &Context<'_>, options: &Register) -> Result<(), CommandError> {
    let Some(name) = &options.bulk.run else {
        return Err(CommandError::Usage("name the run with --run NAME".into()));
    };
    let (mut run, info) = Run::open_existing(&context.home.runs(), name)?;
    let server = interruptible(open_as_administrator(context, options, None)).await?;
    let Some(session) = &server.session else {
        return Err(CommandError::Interrupted);
    };
    let account = session.account();
    let server_name = account.user_id.server_name();
    let log = run.run_log().clone();
    if let Some(other) = created_users(&log).find(|user| user.server_name() != server_name) {
        let text = format!(
            "{} cannot deactivate {other}; name an administrator there with --account",
            account.user_id
        );
        return Err(CommandError::Usage(text));
    }
    confirm(context, options, &log).await?;
    let mut machine = BulkDeactivation::new(&account, log, usize::from(options.bulk.jobs));
    let result = drive(context, &mut run, &mut machine, &server, "rows").await?;
    let counts = machine.run_log().counts();
    let object = summary(name, counts, Some(&info.result_path), result.requests);
    context.output.result(&result_text(counts), &object);
    check_result(context, name, counts.created(), result)
}

/// Fails if accounts are left that were not deactivated.
fn check_result(
    context: &Context<'_>,
    name: &str,
    left: usize,
    result: DriveResult,
) -> Result<(), CommandError> {
    let next = context.command(&format!("register --run {} --undo", shell_word(name)));
    let error = match result.stopped_by {
        Some(AdminError::Auth(AuthError::Server(ServerError::Cancelled))) => {
            CommandError::Interrupted
        }
        Some(error) => matricula::Error::from(error).into(),
        None if result.was_interrupted && left > 0 => CommandError::Interrupted,
        None => return Ok(()),
    };
    Err(CommandError::Reported {
        message: format!(
            "{} not deactivated: {}",
            count_are(left, "account"),
            error.message()
        ),
        exit_code: error.exit_code(),
        next: Some(next),
    })
}

fn created_users(log: &RunLog) -> impl Iterator<Item = &UserId> {
    log.entries()
        .iter()
        .filter_map(|entry| entry.state.created())
}

/// Lists the accounts that will be deactivated, and asks for confirmation.
async fn confirm(
    context: &Context<'_>,
    options: &Register,
    log: &RunLog,
) -> Result<(), CommandError> {
    let counts = log.counts();
    for user_id in created_users(log) {
        context.output.say(&format!("  {user_id}"));
    }
    context.output.warn(&format!(
        "{} deactivated permanently, as the run created them: no login is possible any more, and their \
         names cannot be registered again",
        count_are(counts.created(), "account")
    ));
    if counts.in_doubt > 0 {
        context.output.warn(&format!(
            "{} in doubt, and not changed; resume the run first to settle this",
            count_are(counts.in_doubt, "row")
        ));
    }
    if options.bulk.yes || counts.created() == 0 {
        return Ok(());
    }
    let terminal = Terminal::new(context.output, context.no_input);
    if !terminal.has_person() {
        return Err(CommandError::Usage(
            "confirm with --yes; nothing was done".into(),
        ));
    }
    if terminal.confirm("Deactivate them permanently?").await? {
        Ok(())
    } else {
        Err(CommandError::other("nothing was done"))
    }
}
