//! `--dry-run` of a list: checks all rows, and creates nothing.

use matricula::bulk::{Availability, NewRow, RowError, UserList, check_availability};
use serde_json::json;

use super::{Context, OpenServer, errors::list_error, open_server, print_estimates};
use crate::{args::Register, error::CommandError, text::count};

/// Checks all rows. It sends only GET requests, which change nothing.
pub(super) async fn run(
    context: &Context<'_>,
    options: &Register,
    list: &UserList,
) -> Result<(), CommandError> {
    let rows = &list.rows;
    let server = open_server(context, options, None).await?;
    let route = server.credentials.route();
    print_estimates(context, rows.len(), route);
    let mut errors = server.check_rows(rows);
    let (existing, unknown) = check_names(context, &server, rows, &mut errors).await?;
    for (line, name) in &existing {
        let text = format!("line {line}: {name} exists already, and would stay unchanged");
        context.output.say(&text);
    }
    if unknown > 0 {
        let names = match unknown {
            1 => "1 of the names is".to_owned(),
            many => format!("{many} of the names are"),
        };
        context.output.say(&format!(
            "by the route {route}, the server does not say whether {names} taken"
        ));
    }
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.line);
        return Err(list_error(context, &errors));
    }
    let lines: Vec<u64> = existing.iter().map(|(line, _)| *line).collect();
    let object = json!({
        "schema_version": 1,
        "dry_run": true,
        "rows": rows.len(),
        "exists": lines,
        "unknown": unknown,
        "ignored_columns": list.ignored_columns,
        "row_errors": [],
    });
    let exist = match existing.len() {
        1 => "1 exists".to_owned(),
        many => format!("{many} exist"),
    };
    let text = format!(
        "{}: {} would be created, {exist} already; nothing was changed",
        count(rows.len(), "row"),
        rows.len() - existing.len(),
    );
    context.output.result(&text, &object);
    Ok(())
}

type Existing = Vec<(u64, String)>;

/// The usernames that are taken, by line; and the number of those that the server does not tell.
async fn check_names(
    context: &Context<'_>,
    server: &OpenServer,
    rows: &[NewRow],
    errors: &mut Vec<RowError>,
) -> Result<(Existing, usize), CommandError> {
    let runner = server.runner(context)?;
    let (mut existing, mut unknown) = (Vec::new(), 0);
    for row in rows {
        if errors.iter().any(|error| error.line == row.line) {
            continue;
        }
        match check_availability(&runner, &server.credentials, row).await? {
            Availability::Available => {}
            Availability::Taken => existing.push((row.line, row.localpart())),
            Availability::Refused(reason) => {
                let message = format!(
                    "the server refuses the username {:?}: {reason}",
                    row.username
                );
                errors.push(RowError::new(row.line, message));
            }
            _ => unknown += 1,
        }
    }
    Ok((existing, unknown))
}
