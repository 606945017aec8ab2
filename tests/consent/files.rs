//! Evidence files, and imports that go wrong or are cut off.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::gate::Folder;
use crate::stage::{REGISTER, SUBSCRIBER, Stage};

const HEADER: &str = "msisdn,sender,category,status,at,method,evidence,expires_at";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_files_are_stored_by_their_hash_checked_and_taken_along() {
    let stage = Stage::new().await;
    let scans = stage.folder.path().join("scans");
    fs::create_dir_all(scans.join("may")).expect("a folder");
    fs::write(scans.join("may/form-1.pdf"), b"form 1").expect("a file");
    fs::write(scans.join("form-2.pdf"), b"form 2").expect("a file");
    let rows = [
        "13800138001,bakery,,consent,2026-01-01,paper,may/form-1.pdf,",
        "13800138002,bakery,,consent,2026-01-01,paper,form-2.pdf,",
        "13800138003,bakery,,consent,2026-01-01,paper,may/form-1.pdf,",
        "13800138004,bakery,,consent,2026-01-01,paper,form-9.pdf,",
        "13800138005,bakery,,consent,2026-01-01,paper,../register.toml,",
    ];
    let csv = format!("{HEADER}\n{}\n", rows.join("\n"));
    let said = stage.folder.feed(&["consent", "import", "-", "--evidence-dir", text(&scans)], &csv);
    assert!(said.code == Some(1) && said.stdout.starts_with("5 rows: 3 changed"), "{}", said.stdout);
    assert!(said.stderr.contains("form-9.pdf") && said.stderr.contains("leads out"), "{}", said.stderr);
    let stored = stage.folder.path().join("data/evidence");
    assert_eq!(files_in(&stored).len(), 2, "the same file is stored once");
    let history = || stage.run(&["consent", "show", SUBSCRIBER, "--history"]).ok();
    assert!(history().contains("evidence may/form-1.pdf") && history().contains(": whole"), "{}", history());
    let papers = stage.folder.path().join("papers");
    stage.run(&["consent", "export", "--evidence", text(&papers)]).ok();
    assert_eq!(files_in(&papers), files_in(&stored));

    // A file that was changed or lost is told.
    let form = files_in(&stored).into_iter().find(|(_, octets)| octets == b"form 1").expect("form 1").0;
    fs::write(stored.join(&form), b"form one").expect("a file");
    assert!(history().contains("CHANGED"), "{}", history());
    fs::remove_file(stored.join(&form)).expect("a file");
    assert!(history().contains("MISSING"), "{}", history());
    let said = stage.run(&["consent", "export", "--evidence", text(&stage.folder.path().join("more"))]);
    assert!(said.code == Some(1) && said.stderr.contains("1 evidence files are missing"), "{}", said.stderr);
    // The export brings it back.
    let exported = format!(
        "{HEADER},sha256\n13800138001,bakery,,consent,2026-01-01,paper,may/form-1.pdf,,{}\n",
        form.replace('/', "")
    );
    stage.folder.feed(&["consent", "import", "-", "--evidence-dir", text(&papers)], &exported).ok();
    assert!(history().contains(": whole"), "{}", history());
}

/// The files under a folder by their paths, with their octets.
fn files_in(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let name = entry.strip_prefix(folder).expect("below it");
                files.push((text(name).to_owned(), fs::read(&entry).expect("a file")));
            }
        }
    }
    files.sort();
    files
}

/// Rows of numbers from the first on, some of them faulty.
fn rows(count: u64) -> String {
    let row = |n: u64| match n % 1000 {
        7 => format!("138{n},bakery,,perhaps,2026-01-02,web,form {n},\n"),
        _ => format!("138{n:08},bakery,,consent,2026-01-02,web,form {},\n", n % 97),
    };
    format!("{HEADER}\n{}", (0..count).map(row).collect::<String>())
}

/// Killed in the middle, the same command goes on where it was durable, and comes to what one run would have.
fn is_taken_up(folder: &Folder) {
    const ROWS: u64 = 600_000;
    let (file, errors) = (folder.path().join("many.csv"), folder.path().join("faulty.csv"));
    fs::write(&file, rows(ROWS)).expect("a file");
    let arguments = ["consent", "import", text(&file), "--errors", text(&errors)];
    let mut child = folder.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("an import");
    let marks = folder.path().join("data/imports");
    let is_marked = || {
        fs::read_dir(&marks)
            .is_ok_and(|mut marks| marks.any(|mark| mark.is_ok_and(|mark| mark.path().extension().is_some())))
    };
    for _ in 0..2_400 {
        if is_marked() || child.try_wait().expect("a child").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    child.kill().ok();
    let ended = child.wait().expect("its end");
    assert!(!ended.success() && is_marked(), "killed on the way: {ended}");
    let mut again = folder.command(&arguments);
    let said = again.stdout(Stdio::piped()).spawn().and_then(std::process::Child::wait_with_output).expect("an import");
    let (out, told) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(told.contains("going on at line "), "{told}");
    assert!(
        out.starts_with("600000 rows: 599") && out.ends_with("0 superseded by what is held, 600 faulty\n"),
        "{out}"
    );
    assert!(!is_marked(), "nothing is left of it");
    let faulty = fs::read_to_string(&errors).expect("the errors");
    assert_eq!(faulty.lines().count(), 1 + 600);
    assert!(
        faulty.lines().nth(1).is_some_and(|line| line.starts_with("9,") && line.contains("perhaps")),
        "{faulty:.200}"
    );
    assert!(faulty.lines().last().is_some_and(|line| line.starts_with("599009,")), "lines are those of the file");
    let exported = folder.run(&["consent", "show", "13800599999"]).ok();
    assert_eq!(exported.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_cut_off_is_taken_up_by_the_running_gate() {
    let stage = Stage::new().await;
    tokio::task::block_in_place(|| is_taken_up(&stage.folder));
}

#[test]
fn an_import_that_is_cut_off_is_taken_up_without_a_gate() {
    is_taken_up(&Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776))));
}
