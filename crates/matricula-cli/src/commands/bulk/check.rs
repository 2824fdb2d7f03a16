//! `--dry-run` of a list, and how long a run will take.

use matricula::bulk::{Found, NewRow, Route, RowError, estimate, look_up};
use serde_json::json;

use super::{Context, access, access::Opened, faulty};
use crate::{args::Register, error::CommandError, output::in_words};

/// Checks all rows, and changes nothing: what is sent are GET requests.
pub(super) async fn run(
    context: &Context<'_>,
    options: &Register,
    rows: &[NewRow],
) -> Result<(), CommandError> {
    let opened = access::open(context, options, None).await?;
    let route = opened.access.route();
    tell_estimates(context, rows.len(), route);
    let mut faults = opened.faults(rows);
    let (existing, unknown) = existing(context, &opened, rows, &mut faults).await?;
    for (line, name) in &existing {
        let words = format!("line {line}: {name} is there already, and would be left as it is");
        context.output.say(&words);
    }
    if unknown > 0 {
        context.output.say(&format!(
            "the server does not tell by the route {route} whether {unknown} of the names are taken"
        ));
    }
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.line);
        return Err(faulty(context, &faults));
    }
    let lines: Vec<u64> = existing.iter().map(|(line, _)| *line).collect();
    let object = json!({
        "schema_version": 1,
        "dry_run": true,
        "rows": rows.len(),
        "exists": lines,
        "unknown": unknown,
        "faults": [],
    });
    let words = format!(
        "{} rows: {} would be made, {} are there already; nothing was changed",
        rows.len(),
        rows.len() - existing.len(),
        existing.len()
    );
    context.output.result(&words, &object);
    Ok(())
}

type Existing = Vec<(u64, String)>;

/// Which names somebody has, and of how many the server does not tell.
async fn existing(
    context: &Context<'_>,
    opened: &Opened,
    rows: &[NewRow],
    faults: &mut Vec<RowError>,
) -> Result<(Existing, usize), CommandError> {
    let runner = opened.runner(context);
    let (mut existing, mut unknown) = (Vec::new(), 0);
    for row in rows {
        if faults.iter().any(|fault| fault.line == row.line) {
            continue;
        }
        match look_up(&runner, &opened.access, row).await? {
            Found::Free => {}
            Found::Taken => existing.push((row.line, row.localpart())),
            Found::Refused(why) => {
                let what = format!("the server refuses the name {:?}: {why}", row.username);
                faults.push(RowError::new(row.line, what));
            }
            _ => unknown += 1,
        }
    }
    Ok((existing, unknown))
}

/// Tells how long it will take by each route, and what that is based on.
pub(super) fn tell_estimates(context: &Context<'_>, rows: usize, chosen: Route) {
    context.output.say(&format!(
        "{rows} rows by the route {chosen}. Servers do not tell their pace; where it is Synapse's default, \
         that takes about:"
    ));
    for one in estimate(rows) {
        let mark = if one.route == chosen { "*" } else { " " };
        let (route, time) = (one.route.name(), in_words(one.time));
        context
            .output
            .say(&format!("{mark} {route:<13} {time:>8}  ({})", one.basis));
    }
}
