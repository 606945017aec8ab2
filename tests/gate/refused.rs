//! A gate that does not start for what its files say has that on record all the same.

use std::fs;

use crate::stage::{REGISTER, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_refused_at_the_start_is_on_record() {
    let Stage { gate, folder, carrier } = Stage::new().await;
    gate.stop();
    let good = fs::read_to_string(folder.config_file()).expect("the configuration");
    let refuse = |text: &str, why: &str| {
        fs::write(folder.config_file(), text).expect("the configuration");
        let said = folder.run(&["run"]);
        assert!(said.code == Some(1) && said.stderr.contains(why), "{}", said.stderr);
        fs::write(folder.config_file(), &good).expect("the configuration");
    };
    let recorded = || {
        let said = folder.run(&["journal", "find", "--sessions", "--json"]).ok();
        said.lines().filter(|line| line.contains("the gate did not start")).map(str::to_owned).collect::<Vec<_>>()
    };
    refuse(&format!("{good}\n[queue]\nmax_messages = \"many\"\n"), "queue.max_messages");
    assert!(recorded().len() == 1 && recorded()[0].contains("queue.max_messages"), "{:?}", recorded());
    // Which journal, under which keys, is not certain here.
    refuse(&format!("time_zone = \"Nowhere\"\n{good}"), "time_zone");
    refuse("register = ", "portcullis.toml");
    assert_eq!(recorded().len(), 1);

    folder.write_register("[[provider]]\n");
    let said = folder.run(&["run"]);
    assert!(said.code == Some(1) && said.stderr.contains("register.toml"), "{}", said.stderr);
    assert!(recorded().len() == 2 && recorded()[1].contains("register.toml"), "{:?}", recorded());
    folder.write_register(REGISTER);

    // What was never in force is not what it was before.
    let configurations = || {
        let said = folder.run(&["journal", "find", "--sessions", "--json"]).ok();
        said.lines().filter(|line| line.contains("\"configuration\"") && line.contains("sha256-before")).count()
    };
    let before = configurations();
    let gate = folder.start();
    refuse(&format!("{good}\n[queue]\nmax_messages = \"many\"\n"), "is not on record: ");
    gate.stop();
    assert_eq!(configurations(), before);
    drop(carrier);
}
