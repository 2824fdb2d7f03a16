//! Every flow of up to three stages, for each of six options, with and without a person, and with each
//! failure once at each request.
//!
//! What is chosen and how many requests it takes is worked out here by another rule than the
//! machine's; how each failure ends is a table that was read line by line.

mod server;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    thread,
};

use matricula_auth::{Answer, Phone, Progress, Prompt, Registration, RegistrationOptions};
use serde_json::Value;
use server::{Fault, Reply, Server, point};

use crate::{
    helpers::server_info,
    scripted_server::{ScriptedServer, transport_error},
};
use matricula_core::{Processed, TransportError, TransportErrorKind, scheduler::Outcome};

const STAGES: [&str; 8] = [
    "m.login.dummy",
    "m.login.registration_token",
    "m.login.terms",
    "m.login.email.identity",
    "m.login.msisdn",
    "m.login.recaptcha",
    "m.login.sso",
    "org.example.riddle",
];

const EMAIL: &str = STAGES[3];
const PHONE: &str = STAGES[4];

/// Of every stage: whether the person has to be asked although these options were given, and how many
/// requests it takes.
fn demands(stage: &str, options: &RegistrationOptions) -> (bool, usize) {
    match stage {
        "m.login.dummy" => (false, 1),
        "m.login.registration_token" => (options.token.is_none(), 1),
        "m.login.terms" => (!options.accept_terms, 1),
        // A message is asked for, and then its link is looked for.
        EMAIL => (true, 2),
        // A message is asked for, its code is sent on, and then the stage is done.
        PHONE => (true, 3),
        _ => (true, 1),
    }
}

/// All subsets of up to three stages.
fn ways() -> Vec<Vec<&'static str>> {
    let subsets = 0..1_u32 << STAGES.len();
    let few = subsets.filter(|subset| subset.count_ones() <= 3);
    few.map(|subset| {
        let stages = STAGES.iter().enumerate();
        let chosen = stages.filter(|(place, _)| subset >> place & 1 == 1);
        chosen.map(|(_, stage)| *stage).collect()
    })
    .collect()
}

fn options() -> [(&'static str, RegistrationOptions); 6] {
    let nothing = RegistrationOptions::default();
    let with_name = RegistrationOptions {
        username: Some("alice".into()),
        password: Some("wordpass".into()),
        ..RegistrationOptions::default()
    };
    let phone: Phone = "GB:07700900001".parse().unwrap();
    let all = RegistrationOptions {
        token: Some("let-me-in".into()),
        email: Some("a@example.org".into()),
        phone: Some(phone.clone()),
        accept_terms: true,
        ..with_name.clone()
    };
    [
        ("nothing", nothing.clone()),
        ("name and password", with_name.clone()),
        (
            "an invitation",
            RegistrationOptions {
                token: all.token.clone(),
                ..with_name.clone()
            },
        ),
        (
            "an email address",
            RegistrationOptions {
                email: all.email.clone(),
                ..with_name
            },
        ),
        (
            "a phone number",
            RegistrationOptions {
                phone: Some(phone),
                ..nothing
            },
        ),
        ("everything", all),
    ]
}

/// What happened.
struct Run {
    script: ScriptedServer<Registration>,
    server: Server,
    points: Vec<String>,
    chosen: Option<Vec<String>>,
}

impl Run {
    fn end(&self) -> String {
        match self.script.result.as_ref().unwrap() {
            Ok(_) => "an account".to_owned(),
            Err(error) => {
                // The operation's variant: `Register(InDoubt { .. })` is "InDoubt".
                let text = format!("{error:?}");
                let variant = text.split_once('(').map_or(&*text, |(_, inner)| inner);
                let end = variant.find(|c: char| !c.is_alphanumeric());
                variant[..end.unwrap_or(variant.len())].to_owned()
            }
        }
    }
}

fn answer_of(question: &Prompt, server: &mut Server) -> Answer {
    match question {
        Prompt::Username { .. } => Answer::Text("alice2".into()),
        Prompt::Password { .. } => Answer::Text("stronger".into()),
        Prompt::RegistrationToken { .. } => Answer::Text("let-me-in".into()),
        Prompt::EmailAddress { .. } => Answer::Text("b@example.org".into()),
        Prompt::PhoneNumber { .. } => Answer::Text("GB:07700900002".into()),
        Prompt::Code { .. } => Answer::Text("123456".into()),
        Prompt::FollowLink { .. } => {
            server.done_elsewhere.insert(EMAIL.to_owned());
            Answer::Yes
        }
        Prompt::StagePage { stage, .. } => {
            server.done_elsewhere.insert(stage.as_str().to_owned());
            Answer::Yes
        }
        Prompt::AcceptTerms { .. } => Answer::Yes,
        other => panic!("{other:?}"),
    }
}

/// Registers, and checks on the way what must never happen.
fn run(options: &RegistrationOptions, mut server: Server, has_person: bool) -> Run {
    let mut script = ScriptedServer::start(Registration::new(&server_info(), options.clone()));
    let (mut points, mut name_passed) = (Vec::new(), false);
    let mut completed: HashSet<(Value, Value)> = HashSet::new();
    let mut turns = 0;
    while script.result.is_none() {
        turns += 1;
        assert!(turns < 100, "no end: {points:?}");
        if script.is_waiting() {
            script.wake();
            continue;
        }
        if script.is_asking() {
            let question = script.question().clone();
            let answer = match has_person {
                true => answer_of(&question, &mut server),
                false => Answer::Unavailable,
            };
            script.answer(answer);
            continue;
        }
        let job = script.job().clone();
        points.push(point(&job));
        check(&job, options, name_passed, &completed);
        let said = server.answer(&job);
        let answers_name = job.url().ends_with("/available");
        match said {
            Reply::Answer(status, body) => {
                name_passed |= answers_name && (status == 200 || status == 403 || status == 404);
                for stage in body["completed"].as_array().into_iter().flatten() {
                    completed.insert((body["session"].clone(), stage.clone()));
                }
                script.respond(status, &body);
            }
            Reply::Unsent => {
                let error = TransportError {
                    kind: TransportErrorKind::Connect,
                    processed: Processed::No,
                    message: "refused".into(),
                };
                script.outcome(Outcome::Failed(error));
            }
            Reply::Lost => {
                script.outcome(Outcome::InDoubt(transport_error(
                    TransportErrorKind::ConnectionLost,
                )));
            }
        }
    }
    let chosen = script.progress.iter().find_map(|notice| match notice {
        Progress::Route { stages, .. } => {
            Some(stages.iter().map(|it| it.as_str().to_owned()).collect())
        }
        _ => None,
    });
    Run {
        script,
        server,
        points,
        chosen,
    }
}

fn check(
    job: &matricula_core::Job,
    options: &RegistrationOptions,
    name_passed: bool,
    completed: &HashSet<(Value, Value)>,
) {
    assert!(job.url().starts_with("https://"), "{}", job.url());
    let body: Value = serde_json::from_slice(job.request_body().as_bytes()).unwrap_or_default();
    if body.get("password").is_some() && options.username.is_some() {
        assert!(
            name_passed,
            "the password was sent before the name was checked"
        );
    }
    let (session, stage) = (&body["auth"]["session"], &body["auth"]["type"]);
    assert!(
        !completed.contains(&(session.clone(), stage.clone())),
        "{stage} was done already"
    );
}

/// The requests that a way takes at the least.
fn least(way: &[&str], options: &RegistrationOptions) -> usize {
    let stages: usize = way.iter().map(|stage| demands(stage, options).1).sum();
    usize::from(options.username.is_some()) + 1 + stages
}

#[test]
fn easiest_flow_takes_fewest_requests() {
    let mut cases = 0;
    for (name, options) in &options() {
        for way in ways() {
            // Beside each way another that asks for something more; in either order.
            let more = STAGES.iter().rev().find(|stage| {
                // An address that was given is wanted on the account, whatever else it takes.
                let is_given = (**stage == EMAIL && options.email.is_some())
                    || (**stage == PHONE && options.phone.is_some());
                !way.contains(stage) && !is_given
            });
            let more = more.unwrap();
            let mut longer = way.clone();
            longer.push(more);
            for ways in [
                vec![way.clone()],
                vec![way.clone(), longer.clone()],
                vec![longer.clone(), way.clone()],
            ] {
                for has_person in [true, false] {
                    cases += 1;
                    let run = run(options, Server::new(ways.clone(), None), has_person);
                    let asks = way.iter().any(|stage| demands(stage, options).0);
                    let what = format!(
                        "{name}, {ways:?}, has_person: {has_person}: {:?}",
                        run.points
                    );
                    assert_eq!(
                        run.end() == "an account",
                        has_person || !asks,
                        "{what}: {}",
                        run.end()
                    );
                    if run.end() == "an account" {
                        assert_eq!(run.points.len(), least(&way, options), "{what}");
                    } else {
                        assert!(run.points.len() < least(&way, options), "{what}");
                    }
                    if !way.is_empty() {
                        let chosen = run.chosen.unwrap();
                        assert_eq!(chosen, way, "{what}");
                    }
                }
            }
        }
    }
    assert_eq!(cases, 93 * 6 * 3 * 2);
    report(&format!("{cases} cases without a failure"));
}

/// Reply where it can be seen with `--nocapture`.
#[allow(clippy::print_stdout)]
fn report(what: &str) {
    println!("{what}");
}

fn faults(point: &str) -> Vec<Fault> {
    use Fault::{LostAfter, LostBefore, NotDone, Refused, Unsent};
    let mut faults = vec![
        Unsent,
        LostBefore,
        LostAfter,
        Refused(429, "M_LIMIT_EXCEEDED"),
        Refused(403, "M_FORBIDDEN"),
        Refused(400, "M_UNKNOWN"),
        Refused(404, "M_UNRECOGNIZED"),
    ];
    let about_the_name = [
        Refused(400, "M_USER_IN_USE"),
        Refused(400, "M_INVALID_USERNAME"),
        Refused(400, "M_EXCLUSIVE"),
    ];
    let about_the_address = [
        Refused(400, "M_THREEPID_IN_USE"),
        Refused(403, "M_THREEPID_DENIED"),
    ];
    match point {
        "register/available" => faults.extend(about_the_name),
        point if point.ends_with("requestToken") => {
            faults.extend(about_the_address);
            faults.extend([
                Refused(400, "M_INVALID_PARAM"),
                Refused(403, "M_SERVER_NOT_TRUSTED"),
            ]);
        }
        point if point.ends_with("submit") => faults.extend([
            Refused(400, "M_TOKEN_INCORRECT"),
            Refused(400, "M_NO_VALID_SESSION"),
        ]),
        point => {
            faults.extend(about_the_name);
            faults.extend([
                Refused(400, "M_WEAK_PASSWORD"),
                Refused(400, "M_MISSING_PARAM"),
                Refused(400, "M_BAD_JSON"),
                Refused(403, "M_RESOURCE_LIMIT_EXCEEDED"),
                Refused(500, "M_UNKNOWN"),
            ]);
            if point != "register" {
                faults.extend([NotDone("M_UNAUTHORIZED"), NotDone("M_FORBIDDEN")]);
            }
            if point.contains("email") || point.contains("msisdn") {
                faults.extend(about_the_address);
            }
        }
    }
    faults
}

/// How it ended, with and without a person to ask.
type Ends = BTreeMap<(String, Fault), [BTreeSet<String>; 2]>;

#[test]
fn one_failure_at_each_request() {
    let (mut cases, mut ends) = (0, Ends::new());
    let all = options();
    thread::scope(|scope| {
        let parts = all
            .each_ref()
            .map(|(name, options)| scope.spawn(move || each_failure_once(name, options)));
        for part in parts {
            let (number, part) = part.join().unwrap();
            cases += number;
            for (row, [has_person, no_person]) in part {
                let row = ends.entry(row).or_default();
                row[0].extend(has_person);
                row[1].extend(no_person);
            }
        }
    });
    report(&format!("{cases} cases with a failure"));
    let lines = ends.iter().map(|((point, fault), ends)| {
        let [has_person, no_person] = ends.each_ref().map(|ends| {
            let ends: Vec<_> = ends.iter().map(String::as_str).collect();
            ends.join(", ")
        });
        format!("{point} | {fault:?} | {has_person} | {no_person}")
    });
    let lines: Vec<_> = lines.collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn each_failure_once(name: &str, options: &RegistrationOptions) -> (usize, Ends) {
    let (mut cases, mut ends) = (0, Ends::new());
    for way in ways() {
        for has_person in [true, false] {
            let without = run(options, Server::new(vec![way.clone()], None), has_person);
            for (at, point) in without.points.iter().enumerate() {
                for fault in faults(point) {
                    cases += 1;
                    let server = Server::new(vec![way.clone()], Some((at, fault)));
                    let run = run(options, server, has_person);
                    let what = format!(
                        "{name}, {way:?}, {fault:?} at {at} ({point}), has_person: {has_person}: {:?}",
                        run.points
                    );
                    // What came before, the whole way once more, and what settles a lost answer.
                    let most = at + 1 + least(&way, options) + 2;
                    assert!(run.points.len() <= most, "{what}: more than {most}");
                    // An account that is there is never denied, nor claimed where there is none.
                    let accounts = run.server.accounts.len();
                    let end = run.end();
                    match end.as_str() {
                        "an account" => assert_eq!(accounts, 1, "{what}"),
                        "InDoubt" => assert!(accounts <= 1, "{what}"),
                        end => assert_eq!(accounts, 0, "{what}: {end}"),
                    }
                    let row = ends.entry((point.clone(), fault)).or_default();
                    row[usize::from(!has_person)].insert(end);
                }
            }
        }
    }
    (cases, ends)
}
