//! The ledger, the rating, and another charging engine beside them. The measurements are tests of `payments`, which have databases
//! of their own at hand; here they are built for release and run one after the other.

use crate::{setup, shell};

/// In the order in which they are told.
const MEASUREMENTS: [&str; 3] = ["bench::durable_pairs", "bench::lookups", "bench::beside_cgrates"];

pub(crate) fn run() -> anyhow::Result<()> {
    let peers = setup::cgrates::cgrates()?;
    for measurement in MEASUREMENTS {
        println!("\n{measurement}:");
        let mut command = shell::cargo();
        // Without the embedded Lightning node, which nothing here measures and which takes ten minutes to link.
        command.args(["test", "--release", "--quiet", "-p", "payments", "--no-default-features", "--locked"]);
        command.args(["--test", "it", "--"]);
        command.args(["--ignored", "--exact", "--nocapture", "--test-threads=1", measurement]);
        if let Some((cgrates, redis)) = &peers {
            command.env("ROOMTONE_CGRATES", cgrates).env("ROOMTONE_REDIS", redis);
        }
        shell::openly(&mut command)?;
    }
    Ok(())
}
