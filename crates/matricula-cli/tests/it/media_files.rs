//! Where a transfer reads and writes: what may be there, how a file is named, how large it may be, and
//! the standard streams.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use crate::{
    command::Home,
    hostile::bomb,
    prompts::on_a_terminal,
    server::{Reply, Request, Server, answer, endless, matrix, object},
    servers::Site,
};

const MXC: &str = "mxc://b.test/AbCdEf";

/// A server that answers what is asked of files by a script, and a home with an account on it.
fn with_account(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Server, Home) {
    let server = Server::start(move |request| match request.path.contains("/media/") {
        true => script(request),
        false => matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    (server, home)
}

/// The names in the directory that commands are typed in.
fn names(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.files()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read(home: &Home, name: &str) -> String {
    fs::read_to_string(home.files().join(name)).unwrap()
}

#[cfg(unix)]
fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Both commands that write a file, with the name of the partial one.
const WRITERS: [&str; 3] = [
    "media get mxc://b.test/AbCdEf out",
    "media get mxc://b.test/AbCdEf out --overwrite",
    "api call getContentAuthed serverName=b.test mediaId=AbCdEf --output out",
];

#[cfg(unix)]
#[test]
fn planted_files_are_not_written_through() {
    use std::os::unix::fs::symlink;
    type Plant = fn(&Home, &Path);
    let plants: [(&str, Plant); 5] = [
        ("symbolic link", |_, at| symlink("precious", at).unwrap()),
        ("symbolic link", |home, at| {
            symlink(home.files().join("precious"), at).unwrap()
        }),
        ("symbolic link", |_, at| {
            symlink("not-there-yet", at).unwrap()
        }),
        ("hard links", |home, at| {
            fs::hard_link(home.files().join("precious"), at).unwrap()
        }),
        ("no regular file", |_, at| pipe(at)),
    ];
    for line in WRITERS {
        for (what, plant) in plants {
            let (_server, home) = with_account(|_| answer(200, &["etag: \"a\""], "harm"));
            home.file("precious", "precious");
            plant(&home, &home.files().join("out.part"));
            let line = home.command(line).patience(Duration::from_secs(20));
            let ended = line.run().exit(1);
            assert!(ended.stderr.contains(what), "{ended}");
            assert!(ended.stderr.contains("out.part"), "{ended}");
            assert_eq!(read(&home, "precious"), "precious");
            assert_eq!(names(&home), ["out.part", "precious"]);
        }
        // The note beside it.
        for (_, plant) in plants {
            let (_server, home) = with_account(|_| answer(200, &["etag: \"a\""], "meow"));
            home.file("precious", "precious");
            home.file("out.part", "m");
            plant(&home, &home.files().join("out.part.note"));
            home.command(line)
                .patience(Duration::from_secs(20))
                .run()
                .exit(0);
            assert_eq!(read(&home, "precious"), "precious");
            assert_eq!(read(&home, "out"), "meow");
            assert_eq!(names(&home), ["out", "precious"]);
        }
    }
}

#[cfg(unix)]
#[test]
fn existing_target_needs_permission() {
    use std::os::unix::fs::symlink;
    type Place = fn(&Home, &Path);
    let places: [Place; 5] = [
        |_, at| fs::write(at, "mine").unwrap(),
        |_, at| symlink("precious", at).unwrap(),
        |_, at| symlink("not-there", at).unwrap(),
        |home, at| fs::hard_link(home.files().join("precious"), at).unwrap(),
        |_, at| pipe(at),
    ];
    for line in [WRITERS[0], WRITERS[2]] {
        for place in places {
            let (server, home) = with_account(|_| answer(200, &[], "new"));
            home.file("precious", "precious");
            let out = home.files().join("out");
            place(&home, &out);
            let before = out.symlink_metadata().unwrap().file_type();
            let ended = home.run(line).exit(2);
            assert!(ended.stderr.contains("--overwrite"), "{ended}");
            assert_eq!(out.symlink_metadata().unwrap().file_type(), before);
            let asked = server.requests();
            assert!(
                asked.iter().all(|it| !it.path.contains("/media/")),
                "{asked:#?}"
            );
            // The name is replaced, and what it led to is not.
            home.run(&format!("{line} --overwrite")).exit(0);
            assert_eq!(read(&home, "out"), "new");
            assert!(out.symlink_metadata().unwrap().is_file());
            assert_eq!(read(&home, "precious"), "precious");
        }
    }
}

/// It was not there when the command started.
#[test]
fn target_that_appears_meanwhile_stays() {
    for line in [WRITERS[0], WRITERS[2]] {
        let home = Home::new();
        let out = home.files().join("out");
        let server = Server::start(move |request| match request.path.contains("/media/") {
            true => {
                fs::write(&out, "mine").unwrap();
                answer(200, &[], "new")
            }
            false => matrix(request),
        });
        home.run(&format!("register {}", server.url)).exit(0);
        let ended = home.run(line).exit(1);
        assert!(ended.stderr.contains("exists"), "{ended}");
        assert_eq!(read(&home, "out"), "mine");
    }
}

#[test]
fn server_names_the_file() {
    for (disposition, expected) in [
        ("inline; filename=cat.png", "cat.png"),
        ("attachment; filename=\"my cat.png\"", "my cat.png"),
        (
            "inline; filename*=UTF-8''%e6%97%a5%e6%9c%ac.png",
            "日本.png",
        ),
        // It is not there, or nothing is left of it.
        ("inline", "AbCdEf"),
        ("inline; filename=..", "AbCdEf"),
        ("inline; filename=\"/\"", "AbCdEf"),
        ("inline; filename=\"\"", "AbCdEf"),
        ("inline; filename*=UTF-8''%0a%1b%07", "AbCdEf"),
        // It is a path, on any system.
        ("inline; filename=\"../../precious\"", "precious-1"),
        ("inline; filename=\"/etc/passwd\"", "passwd"),
        ("inline; filename=\"..\\..\\autoexec.bat\"", "autoexec.bat"),
        ("inline; filename=\"C:\\x\\y.exe\"", "y.exe"),
        // It would be hidden, an option, or a device.
        ("inline; filename=\".bashrc\"", "bashrc"),
        ("inline; filename=\"-rf\"", "rf"),
        ("inline; filename=\"nul.txt\"", "_nul.txt"),
        // It controls a terminal.
        ("inline; filename*=UTF-8''a%0ab%1b%5b31m.png", "ab[31m.png"),
        ("inline; filename*=UTF-8''gnp.%e2%80%aeexe", "gnp.exe"),
        // Something has the name.
        ("inline; filename=precious", "precious-1"),
        ("inline; filename=dir", "dir-1"),
    ] {
        let header = format!("content-disposition: {disposition}");
        let (_server, home) = with_account(move |_| answer(200, &[&header], "meow"));
        home.file("precious", "precious");
        fs::create_dir(home.files().join("dir")).unwrap();
        let ended = home.run(&format!("media get {MXC}")).exit(0);
        assert_eq!(ended.stdout, format!("{expected}\n"), "{disposition}");
        assert_eq!(read(&home, expected), "meow");
        assert_eq!(read(&home, "precious"), "precious");
        assert_eq!(names(&home).len(), 3, "{:?}", names(&home));
    }
}

#[test]
fn second_download_gets_a_number() {
    let header = "content-disposition: inline; filename=cat.png";
    let (_server, home) = with_account(|_| answer(200, &[header], "meow"));
    for expected in ["cat.png", "cat-1.png", "cat-2.png"] {
        let ended = home.run(&format!("media get {MXC} --json")).exit(0);
        assert_eq!(ended.json()["file"], expected);
    }
    // Only a name of the person's own choice may be replaced.
    home.run(&format!("media get {MXC} --overwrite")).exit(2);
    let (_server, home) = with_account(|_| answer(200, &[], "meow"));
    let ended = home.run(&format!("media get {MXC}")).exit(0);
    assert_eq!(ended.stdout, "AbCdEf\n");
    // The name that it has until the server has answered.
    let ended = home.run(&format!("media get {MXC}")).exit(2);
    assert!(ended.stderr.contains("name a file"), "{ended}");
}

#[test]
fn decompression_bomb_is_bounded() {
    for line in WRITERS
        .into_iter()
        .chain(["media get mxc://b.test/AbCdEf -"])
    {
        let (first, again) = bomb();
        let (_server, home) = with_account(move |_| endless(first.clone(), again.clone()));
        let ended = home.run(&format!("{line} --max-size 3M")).exit(1);
        assert!(
            ended.stderr.contains("longer than 3145728 bytes")
                || ended
                    .stderr
                    .contains("is larger than 3.00 MiB; allow more with --max-size"),
            "{ended}"
        );
        assert_eq!(names(&home), Vec::<String>::new());
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn announced_size_is_bounded_at_once() {
    let head = |length: u64| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    for (option, length, is_refused) in [
        ("", 256 << 20, false),
        ("", (256 << 20) + 1, true),
        ("", 2 << 30, true),
        ("--max-size 2000", 2001, true),
        ("--max-size 1K", 1025, true),
        ("--max-size 3G", 2 << 30, false),
    ] {
        let (_server, home) = with_account(move |_| {
            Box::new(move |to| {
                to.write_all(head(length).as_bytes())?;
                to.write_all(b"and no more")
            })
        });
        let ended = home.run(&format!("media get {MXC} out {option}"));
        let is_bound = ended.stderr.contains("allow more with --max-size");
        assert_eq!(is_bound, is_refused, "{ended}");
        assert_eq!(
            ended.code(),
            Some(if is_refused { 1 } else { 3 }),
            "{ended}"
        );
    }
    let home = Home::new();
    for size in ["0", "-1", "2X", "a"] {
        home.run(&format!("media get {MXC} --max-size {size}"))
            .exit(2);
    }
}

#[test]
fn hyphen_is_a_standard_stream() {
    let (site, home) = (Site::embedded("open"), Home::new());
    home.run(&format!("register {}", site.url)).exit(0);
    for content in ["meow", "", "a\nb\n"] {
        let put = home.command("media put - --name cat.txt --type text/plain --json");
        let json = put.stdin(content).run().exit(0).json();
        assert_eq!(
            (&json["file"], &json["size"]),
            (&json!("-"), &json!(content.len()))
        );
        let uri = json["content_uri"].as_str().unwrap();
        let ended = home.run(&format!("media get {uri} -")).exit(0);
        assert_eq!((&*ended.stdout, &*ended.stderr), (content, ""));
    }
    let json = home
        .command("media put - --json")
        .stdin("meow")
        .run()
        .exit(0)
        .json();
    assert_eq!(json["content_type"], "application/octet-stream");
    assert_eq!(names(&home), Vec::<String>::new(), "nothing is left");
    // Both would be on standard output.
    let ended = home.run(&format!("media get {MXC} - --json")).exit(2);
    assert!(
        ended.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("name a file")
    );
    // A path is a path.
    home.file("-", "meow");
    home.run("media put ./- --name x").exit(0);
}

/// A terminal obeys what is in some files.
#[test]
fn terminal_gets_no_file() {
    let (server, home) = with_account(|_| answer(200, &[], "\u{1b}[31mmeow"));
    let call = "api call getContentAuthed serverName=b.test mediaId=AbCdEf";
    for line in [
        format!("media get {MXC} -"),
        format!("{call} --output -"),
        call.to_owned(),
    ] {
        let (code, seen) = on_a_terminal(&home, &line, &[], &[]);
        assert_eq!(code, 2, "{seen}");
        assert!(!seen.contains("meow"), "{seen}");
    }
    let asked = server.requests();
    assert!(
        asked.iter().all(|it| !it.path.contains("/media/")),
        "{asked:#?}"
    );
}

#[test]
fn interrupted_stream_has_nothing_half() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\netag: \"a\"\r\n\r\nhalf";
    let (_server, home) = with_account(move |_| crate::server::bytes(half));
    let ended = home.run(&format!("media get {MXC} -")).exit(3);
    assert_eq!(ended.stdout, "");
    assert_eq!(names(&home), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn pipe_is_not_uploaded() {
    let (server, home) = with_account(|_| object(200, json!({ "content_uri": MXC })));
    pipe(&home.files().join("pipe"));
    std::os::unix::fs::symlink("pipe", home.files().join("link")).unwrap();
    for line in [
        "media put pipe",
        "media put link",
        "media put /dev/zero",
        "api call uploadContent --body-file pipe",
        "api call uploadContent --body-file link",
    ] {
        let line = home.command(line).patience(Duration::from_secs(20));
        let ended = line.run().exit(2);
        assert!(ended.stderr.contains("is no file on a disk"), "{ended}");
    }
    let asked = server.requests();
    assert!(
        asked.iter().all(|it| !it.path.contains("/media/")),
        "{asked:#?}"
    );
    let call = home.command("api call uploadContent Content-Type=text/plain --body-file -");
    call.stdin("meow").run().exit(0);
    let upload = server.requests().pop().unwrap();
    assert_eq!(upload.headers["content-length"], "4");
    assert_eq!(upload.headers["content-type"], "text/plain");
}

#[test]
fn output_of_a_call_may_be_standard_output() {
    let (_server, home) = with_account(|_| answer(200, &[], "meow"));
    let line = "api call getContentAuthed serverName=b.test mediaId=AbCdEf";
    for option in ["", "--output -"] {
        let ended = home.run(&format!("{line} {option}")).exit(0);
        assert_eq!(ended.stdout, "meow");
    }
    home.run(&format!("{line} --output - --json")).exit(2);
    assert_eq!(names(&home), Vec::<String>::new());
}
