//! `matricula admin user`: creates and lists users, and shows what the server knows about them.

use matricula::{
    Account, Error,
    admin::{CreateUser, CreateUserResult},
    api::{
        ApiError, ErrorCode, UserId,
        synapse::{GetUser, ListUsers, ListedUser, User},
    },
};
use serde_json::{Value, json};

use super::{Context, account_source, admin_error, explained, password};
use crate::{
    args::admin::{AdminUserCreate, AdminUserList, AdminUserShow},
    commands::account_output::account_json,
    error::CommandError,
    output::quoted,
    shell::shell_word,
    terminal::Terminal,
    text::columns,
};

pub(super) async fn create(
    context: &Context<'_>,
    options: AdminUserCreate,
) -> Result<(), CommandError> {
    let user_id = parse(&options.user_id)?;
    let password = password(&options.user)?;
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let is_admin = options.user.admin;
    let mut create = CreateUser::new(&session.account(), user_id).admin(is_admin);
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
        CreateUserResult::Created(account) => print_created(context, &account, is_admin, None),
        CreateUserResult::Incomplete(account, refused) => {
            let error = CommandError::from(Error::from(*refused));
            print_created(context, &account, is_admin, Some(error.message()));
            return Err(CommandError::Reported {
                message: format!(
                    "{} was created, but not as asked: {}",
                    account.user_id,
                    error.message()
                ),
                exit_code: error.exit_code(),
                next: None,
            });
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

/// `refused`: what the server refused of it, in words.
fn print_created(
    context: &Context<'_>,
    account: &Account,
    is_admin: bool,
    refused: Option<String>,
) {
    let mut object = account_json(account, &account.server);
    object["created"] = json!(true);
    object["admin"] = json!(is_admin);
    object["password_made"] = json!(account.password.is_some());
    if let Some(refused) = refused {
        object["refused"] = json!(refused);
    }
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
        words += &format!(" ({})", quoted(name));
    }
    let what = facts([user.admin, user.locked, user.suspended, user.deactivated]);
    for fact in what {
        words += &format!(", {fact}");
    }
    context.output.result(&words, &shown(&user));
    Ok(())
}

pub(super) async fn list(
    context: &Context<'_>,
    options: AdminUserList,
) -> Result<(), CommandError> {
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let mut request = ListUsers {
        name: options.word,
        deactivated: options.deactivated.then_some(true),
        ..ListUsers::default()
    };
    let mut users: Vec<ListedUser> = Vec::new();
    loop {
        let page = session.call(request.clone()).await;
        let page = page.map_err(|error| admin_error(context, &session, error))?;
        let is_last = page.users.is_empty() || page.next_token == request.from;
        users.extend(page.users);
        request.from = page.next_token;
        if is_last || request.from.is_none() {
            break;
        }
    }
    if users.is_empty() {
        context.output.say("there are no such users");
    }
    let rows: Vec<[String; 3]> = users.iter().map(row).collect();
    let users: Vec<Value> = users.iter().map(listed).collect();
    let object = json!({ "schema_version": 1, "users": users });
    if context.output.is_json() || !rows.is_empty() {
        context.output.result(&columns(&rows), &object);
    }
    Ok(())
}

fn row(user: &ListedUser) -> [String; 3] {
    let name = user.displayname.as_deref().unwrap_or_default();
    let mut what = facts([user.admin, user.locked, user.suspended, user.deactivated]);
    what.extend((user.is_guest == Some(true)).then_some("a guest"));
    [quoted(user.name.as_str()), quoted(name), what.join(", ")]
}

/// What is special about a user, in words.
fn facts([admin, locked, suspended, deactivated]: [Option<bool>; 4]) -> Vec<&'static str> {
    let facts = [
        (admin, "an administrator"),
        (locked, "locked"),
        (suspended, "suspended"),
        (deactivated, "deactivated"),
    ];
    let is_so = facts.into_iter().filter(|(is_so, _)| *is_so == Some(true));
    is_so.map(|(_, what)| what).collect()
}

fn listed(user: &ListedUser) -> Value {
    json!({
        "user_id": user.name,
        "display_name": user.displayname,
        "guest": user.is_guest.unwrap_or(false),
        "admin": user.admin.unwrap_or(false),
        "locked": user.locked.unwrap_or(false),
        "suspended": user.suspended.unwrap_or(false),
        "deactivated": user.deactivated.unwrap_or(false),
        "created_at": user.creation_ts,
    })
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
