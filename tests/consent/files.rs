//! Lists of numbers, evidence files, and imports that go wrong or are cut off.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use portcullis::gate::evidence::{Found, Query};
use portcullis::gate::open_evidence;
use portcullis::store::evidence_files::sha256_of;

use crate::gate::Folder;
use crate::provider::submit;
use crate::stage::{OK, REFUSED, REGISTER, SUBSCRIBER, Stage, status, until};

const PORT: &str = "1069000101";
const HEADER: &str = "msisdn,sender,category,status,at,method,evidence,expires_at";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Puts a list in the old one's place.
fn write_list(folder: &Folder, numbers: &str) {
    fs::write(folder.path().join("dnd.csv"), numbers).expect("a list");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_disturb_list_stops_what_is_commercial_and_follows_its_file() {
    let stage = Stage::with(REGISTER, |folder| {
        write_list(folder, "number,since\n13800138001,2026\n");
        "[[do_not_disturb]]\nfile = \"dnd.csv\"\nname = \"national\"".to_owned()
    })
    .await;
    let mut provider = stage.provider("agg1").await;
    let others = ["8613800138002", "8613900138003"];
    for number in [SUBSCRIBER, others[0], others[1]] {
        stage.say("grant", "bakery", &["--msisdn", number, "--at", "2026-01-01"]);
    }
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, REFUSED);
    assert_eq!(status(&mut provider, PORT, others[0]).await, OK);
    let code = submit("1069000199", SUBSCRIBER, "[Bakery] Your code is 482913.");
    assert_eq!(provider.ask(code).await.command_status().0, OK, "R13: service messages reach everybody");
    let judged = stage.run(&[
        "judge",
        "--source",
        PORT,
        "--destination",
        SUBSCRIBER,
        "--text",
        "[Bakery] Saturday: half price. Call 400-000-0077. Reply TD to unsubscribe",
    ]);
    assert!(judged.ok().contains("do-not-disturb"));

    write_list(&stage.folder, "13800138002\n1390013*\n# the rest has left\n");
    stage.gate.await_log("do-not-disturb list reloaded list=\"national\" added=2 removed=1");
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, OK);
    assert_eq!(status(&mut provider, PORT, others[0]).await, REFUSED);
    assert_eq!(status(&mut provider, PORT, others[1]).await, REFUSED, "by its prefix");
    let find = || stage.folder.find(Query { sessions: true, ..Query::default() });
    until("recorded", async || find().iter().any(|found| matches!(found, Found::List(list) if list.added == 2))).await;

    write_list(&stage.folder, "13800138009\nnobody at all\n");
    let told = stage.gate.await_log("nobody at all");
    assert!(told.contains("dnd.csv:2:"), "{told}");
    stage.gate.await_log("keeps its last good state");
    assert_eq!(status(&mut provider, PORT, others[0]).await, REFUSED);
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, OK);
    let check = stage.run(&["check"]);
    assert!(check.code == Some(1) && check.stderr.contains("dnd.csv:2:"), "{}", check.stderr);
    write_list(&stage.folder, "13800138009\n");
    let check = stage.run(&["check"]).ok();
    assert!(check.contains("do-not-disturb list national: 1 numbers, 0 prefixes"), "{check}");
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
    let history = || stage.run(&["consent", "show", "--whole", SUBSCRIBER, "--history"]).ok();
    assert!(history().contains("evidence may/form-1.pdf") && history().contains(": whole"), "{}", history());
    let papers = stage.folder.path().join("papers");
    stage.run(&["consent", "export", "--whole", "--evidence", text(&papers)]).ok();
    let mut copied: Vec<_> = files_in(&papers).into_iter().map(|(_, octets)| octets).collect();
    copied.sort();
    assert_eq!(copied, [b"form 1", b"form 2"]);

    // A file that was changed or lost is told.
    let files = open_evidence(&stage.folder.config()).expect("the evidence");
    let form = files.path(sha256_of(b"form 1"));
    fs::write(&form, b"form one").expect("a file");
    assert!(history().contains("CHANGED"), "{}", history());
    fs::remove_file(&form).expect("a file");
    assert!(history().contains("MISSING"), "{}", history());
    let said = stage.run(&["consent", "export", "--whole", "--evidence", text(&stage.folder.path().join("more"))]);
    assert!(said.code == Some(1) && said.stderr.contains("1 evidence files are missing"), "{}", said.stderr);
    // The export brings it back.
    let exported = format!(
        "{HEADER},sha256\n13800138001,bakery,,consent,2026-01-01,paper,may/form-1.pdf,,{}\n",
        sha256_of(b"form 1")
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
    let exported = folder.run(&["consent", "show", "--whole", "13800599999"]).ok();
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
