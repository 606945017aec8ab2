//! Faulty rows: some told at once, all of them to a file where one is given.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use crate::cli::Failure;

/// Faulty rows told one by one; the rest are counted.
const TOLD: u64 = 100;

pub(super) struct Faults {
    told: u64,
    file: Option<csv::Writer<BufWriter<File>>>,
}

impl Faults {
    /// With `kept` octets of the file from before.
    pub(super) fn new(path: Option<&Path>, kept: u64) -> Result<Self, Failure> {
        let file = path.map(|path| {
            open(path, kept)
                .map_err(|error| Failure::Usage(format!("the errors cannot be written to {}: {error}", path.display())))
        });
        Ok(Self { told: 0, file: file.transpose()? })
    }

    pub(super) fn tell(&mut self, line: u64, why: &str, row: &str) -> io::Result<()> {
        self.told += 1;
        if self.told <= TOLD {
            eprintln!("line {line}: {why}");
        } else if self.told == TOLD + 1 {
            eprintln!("more faulty rows are only counted{}", if self.file.is_some() { " and written" } else { "" });
        }
        match &mut self.file {
            Some(file) => Ok(file.write_record([line.to_string().as_str(), why, row])?),
            None => Ok(()),
        }
    }

    /// How long the file is, with everything in it.
    pub(super) fn flush(&mut self) -> io::Result<u64> {
        let Some(file) = &mut self.file else { return Ok(0) };
        file.flush()?;
        file.get_ref().get_ref().metadata().map(|metadata| metadata.len())
    }
}

fn open(path: &Path, kept: u64) -> io::Result<csv::Writer<BufWriter<File>>> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let kept = if file.metadata()?.len() >= kept { kept } else { 0 };
    file.set_len(kept)?;
    file.seek(io::SeekFrom::End(0))?;
    let mut file = BufWriter::new(file);
    if kept == 0 {
        file.write_all(b"line,reason,row\n")?;
    }
    Ok(csv::Writer::from_writer(file))
}
