//! `matricula admin user`: creates users, and shows what the server knows about them.

use matricula::{
    Error,
    admin::{CreateUser, CreateUserResult},
    api::{
        ApiError, ErrorCode, UserId,
        synapse::{GetUser, User},
    },
};
use serde_json::{Value, json};

use super::{Context, account_source, admin_error, explained, password};
use crate::{
    args::admin::{AdminUserCreate, AdminUserShow},
    commands::account_output::account_json,
    error::CommandError,
    shell::shell_word,
    terminal::Terminal,
};

pub(super) async fn create(
    context: &Context<'_>,
    options: AdminUserCreate,
) -> Result<(), CommandError> {
    let user_id = parse(&options.user_id)?;
    let password = password(&options.user)?;
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let mut create = CreateUser::new(&session.account(), user_id).admin(options.user.admin);
    if let Some(password) = password {
        create = create.password(password);
    }
    if let Some(name) = options.user.display_name {
        create = create.display_name(name);
    }
    let mut accounts = context.home.accounts();
    if let Some(pending) = accounts.pending_user(&create.key())? {
        create = create.resume(pending);
    }
    let mut terminal = Terminal::new(context.output, context.no_input);
    let result = session
        .run(&mut create, &mut accounts, &mut terminal)
        .await
        .map_err(|error| explained(context, &session.account(), error))?;
    match result {
        CreateUserResult::Created(account) => {
            let mut object = account_json(&account, &account.server);
            object["created"] = json!(true);
            object["admin"] = json!(options.user.admin);
            object["password_made"] = json!(account.password.is_some());
            let next = format!("login {}", shell_word(account.user_id.as_str()));
            let next = context.command(&next);
            object["next"] = json!(next);
            if account.password.is_some() {
                context
                    .output
                    .say("a password was generated; it is stored with the account");
            }
            let words = format!("created {}", account.user_id);
            context.output.result(&words, &object);
            context.output.next(&next);
        }
        CreateUserResult::Exists(user) => {
            let mut object = shown(&user);
            object["created"] = json!(false);
            let words = format!("{} exists already; nothing was changed", user.name);
            context.output.result(&words, &object);
        }
        _ => {}
    }
    Ok(())
}

pub(super) async fn show(
    context: &Context<'_>,
    options: AdminUserShow,
) -> Result<(), CommandError> {
    let user_id = parse(&options.user_id)?;
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let request = GetUser {
        user_id: user_id.clone(),
    };
    let user = session.call(request).await.map_err(|error| match &error {
        Error::Api(ApiError::Matrix(refusal)) if refusal.code == ErrorCode::NotFound => {
            CommandError::other(format!(
                "{} has no user {user_id}",
                session.account().server
            ))
        }
        _ => admin_error(context, &session, error),
    })?;
    let mut words = user.name.to_string();
    if let Some(name) = &user.displayname {
        words += &format!(" ({})", crate::output::quoted(name));
    }
    for (is_so, what) in [
        (user.admin, "an administrator"),
        (user.locked, "locked"),
        (user.suspended, "suspended"),
        (user.deactivated, "deactivated"),
    ] {
        if is_so == Some(true) {
            words += &format!(", {what}");
        }
    }
    context.output.result(&words, &shown(&user));
    Ok(())
}

fn parse(user_id: &str) -> Result<UserId, CommandError> {
    user_id.parse().map_err(|_| {
        CommandError::Usage(format!(
            "{user_id:?} is not a user id; write one like @bob:example.org"
        ))
    })
}

fn shown(user: &User) -> Value {
    json!({
        "schema_version": 1,
        "user_id": user.name,
        "display_name": user.displayname,
        "admin": user.admin.unwrap_or(false),
        "locked": user.locked.unwrap_or(false),
        "suspended": user.suspended.unwrap_or(false),
        "deactivated": user.deactivated.unwrap_or(false),
        "created_at": user.creation_ts.map(|seconds| seconds.saturating_mul(1_000)),
    })
}
