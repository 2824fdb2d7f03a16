//! What another user can plant where a download is written, or an upload is read: it is neither
//! followed nor waited for.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use matricula_core::{Body, FileRef, Job, Method, Processed, ResponseFormat};
use tempfile::TempDir;

use super::{run, runner, runner_with};
use crate::{
    error, get, options, response,
    server::{Server, answer, bytes},
};

struct Place {
    dir: TempDir,
    /// A file that nothing may change.
    precious: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        Self { dir, precious }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn download(&self, server: &Server) -> Job {
        let file = FileRef::new(self.path("out"));
        get(&server.url).with_response_format(ResponseFormat::File(file))
    }

    #[track_caller]
    fn assert_unharmed(&self) {
        assert_eq!(fs::read(&self.precious).unwrap(), b"precious");
    }
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

type Plant = fn(&Place, &Path);

/// What can be planted, and how an error calls it.
const PLANTS: [(&str, Plant); 8] = [
    ("a symbolic link", |place, at| {
        symlink(&place.precious, at).unwrap()
    }),
    ("a symbolic link", |_, at| symlink("precious", at).unwrap()),
    ("a symbolic link", |place, at| {
        symlink(place.path("new"), at).unwrap()
    }),
    ("a symbolic link", |_, at| symlink("/dev/full", at).unwrap()),
    ("a symbolic link", |place, at| {
        symlink(place.dir.path(), at).unwrap()
    }),
    ("several names", |place, at| {
        fs::hard_link(&place.precious, at).unwrap()
    }),
    ("no regular file", |_, at| pipe(at)),
    ("a directory", |_, at| fs::create_dir(at).unwrap()),
];

#[test]
fn planted_partial_file_is_refused() {
    for (what, plant) in PLANTS {
        let place = Place::new();
        let part = place.path("out.part");
        plant(&place, &part);
        let server = Server::start([answer("200 OK", &["etag: \"one\""], "harm")]);
        let failure = error(run(&runner(), place.download(&server)));
        assert!(failure.message.contains(what), "{failure}");
        assert!(failure.message.contains("remove it"), "{failure}");
        place.assert_unharmed();
        assert!(part.symlink_metadata().is_ok(), "{what} is left alone");
        assert!(!place.path("out").exists() && !place.path("new").exists());
    }
}

#[test]
fn planted_note_is_not_written_through() {
    for (what, plant) in PLANTS {
        if what == "a directory" {
            continue;
        }
        // A new download, and one that continues.
        for part in [None, Some("ha")] {
            let place = Place::new();
            if let Some(part) = part {
                fs::write(place.path("out.part"), part).unwrap();
            }
            let note = place.path("out.part.note");
            plant(&place, &note);
            let half = "HTTP/1.1 200 OK\r\netag: \"one\"\r\ncontent-length: 8\r\n\r\nhalf";
            let server = Server::start([bytes(half), answer("200 OK", &[], "all of it")]);
            error(run(&runner(), place.download(&server)));
            place.assert_unharmed();
            assert!(!place.path("new").exists());
            response(run(&runner(), place.download(&server)));
            place.assert_unharmed();
            assert_eq!(fs::read(place.path("out")).unwrap(), b"all of it");
        }
    }
}

/// A rename replaces what has the name, and follows nothing.
#[test]
fn planted_target_is_replaced_itself() {
    for (what, plant) in PLANTS {
        if what == "a directory" {
            continue;
        }
        let place = Place::new();
        plant(&place, &place.path("out"));
        let server = Server::start([answer("200 OK", &[], "all of it")]);
        response(run(&runner(), place.download(&server)));
        place.assert_unharmed();
        let found = place.path("out").symlink_metadata().unwrap();
        assert!(found.is_file(), "{what}: {found:?}");
        assert_eq!(fs::read(place.path("out")).unwrap(), b"all of it");
    }
}

#[test]
fn only_regular_files_are_uploaded() {
    let place = Place::new();
    let pipe_path = place.path("pipe");
    pipe(&pipe_path);
    let link = place.path("link");
    symlink(&pipe_path, &link).unwrap();
    for path in [&pipe_path, &link, Path::new("/dev/zero"), place.dir.path()] {
        let server = Server::start([]);
        let upload = Job::new(
            &server.url,
            "/_matrix/media/v3/upload",
            Method::Post,
            "upload",
        )
        .with_body(Body::File(FileRef::new(path)));
        let failure = error(run(&runner(), upload));
        assert_eq!(failure.processed, Processed::No);
        assert!(server.requests().is_empty(), "{path:?}: {failure}");
    }
}

/// Its length says so: the partial file of an earlier attempt is left for one with another bound.
#[test]
fn announced_length_is_checked_before_writing() {
    let place = Place::new();
    fs::write(place.path("out.part"), "begun").unwrap();
    let mut small = options();
    small.max_file_size = 8;
    let server = Server::start([answer("200 OK", &[], "nine byte")]);
    let failure = error(run(&runner_with(small, 1), place.download(&server)));
    assert!(failure.message.contains("longer than 8 bytes"), "{failure}");
    assert_eq!(fs::read(place.path("out.part")).unwrap(), b"begun");
}
