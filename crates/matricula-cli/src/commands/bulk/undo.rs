//! `--undo`: deactivates what a run has made.

use matricula::{
    auth::AuthError,
    bulk::{BulkDeactivation, BulkMachine, Run, RunLog, Stage},
};

use super::{Context, Ended, access, at_once, drive, interruptible, summary, words};
use crate::{args::Register, error::CommandError, shell::shell_word, terminal::Terminal};

pub(super) async fn run(context: &Context<'_>, options: &Register) -> Result<(), CommandError> {
    let name = options.bulk.run.clone().unwrap_or_default();
    let (mut run, about) = Run::existing(&context.home.runs(), &name)?;
    let opened = interruptible(access::administrator(context, options)).await?;
    let Some(session) = &opened.session else {
        return Err(CommandError::Interrupted);
    };
    let account = session.account();
    let ledger = run.ledger().clone();
    if let Some(other) =
        user_ids(&ledger).find(|id| id.server_name() != account.user_id.server_name())
    {
        let what = format!(
            "{} has no say over {other}; name an administrator there with --account",
            account.user_id
        );
        return Err(CommandError::Usage(what));
    }
    make_sure(context, options, &ledger)?;
    let mut machine = BulkDeactivation::new(&account, ledger, at_once(options));
    let ended = drive(context, &mut run, &mut machine, &opened, "rows").await?;
    let counts = machine.ledger().counts();
    let object = summary(&name, counts, Some(&about.result), ended.traffic);
    context.output.result(&words(counts), &object);
    told(context, &name, counts.done, ended)
}

fn told(context: &Context<'_>, name: &str, left: usize, ended: Ended) -> Result<(), CommandError> {
    let next = context.command(&format!("register --run {} --undo", shell_word(name)));
    let error = match ended.stopped_by {
        Some(error) => error,
        None if ended.was_interrupted && left > 0 => AuthError::Cancelled,
        None => return Ok(()),
    };
    let failure = match error {
        AuthError::Cancelled => CommandError::Interrupted,
        error => matricula::Error::from(error).into(),
    };
    Err(CommandError::Reported {
        message: format!(
            "{left} accounts were not deactivated: {}",
            failure.message()
        ),
        exit_code: failure.exit_code(),
        next: Some(next),
    })
}

fn user_ids(ledger: &RunLog) -> impl Iterator<Item = &matricula::api::UserId> {
    let made = ledger.entries().iter().map(|entry| &entry.stage);
    made.filter_map(|stage| match stage {
        Stage::Done { user_id } => Some(user_id),
        _ => None,
    })
}

/// Lists what will be deactivated, and goes on only where that is wanted.
fn make_sure(
    context: &Context<'_>,
    options: &Register,
    ledger: &RunLog,
) -> Result<(), CommandError> {
    let counts = ledger.counts();
    for user_id in user_ids(ledger) {
        context.output.say(&format!("  {user_id}"));
    }
    context.output.warn(&format!(
        "these {} accounts, which the run has made, are deactivated for good: nobody can sign in to them \
         any more, and their names cannot be registered again",
        counts.done
    ));
    if counts.in_doubt > 0 {
        context.output.warn(&format!(
            "{} rows are in doubt, and are left as they are; go on with the run first to settle them",
            counts.in_doubt
        ));
    }
    if options.bulk.yes || counts.done == 0 {
        return Ok(());
    }
    let terminal = Terminal::new(context.output, context.no_input);
    if !terminal.is_there() {
        return Err(CommandError::Usage(
            "say that you are sure with --yes; nothing was done".into(),
        ));
    }
    match terminal.confirm("Deactivate them for good?")? {
        true => Ok(()),
        false => Err(CommandError::other("nothing was done")),
    }
}
