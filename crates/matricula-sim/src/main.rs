//! Runs the simulator on many seeds, and shows the first that fails, reduced to a minimal plan.

use std::{
    io::Write,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use matricula_sim::{Fault, MemoryDisk, Plan, Violation, run, shrink, trace};

const USAGE: &str = "\
usage: matricula-sim [--seeds COUNT] [--from SEED] [--seed SEED] [--fault NAME]

  --seeds COUNT  how many seeds to run (10000)
  --from SEED    the first seed (0)
  --seed SEED    run one seed, and print its trace
  --fault NAME   inject a fault, which the run must detect";

struct Arguments {
    seeds: u64,
    from: u64,
    /// One seed to trace.
    seed: Option<u64>,
    fault: Option<Fault>,
}

fn arguments() -> Result<Arguments, String> {
    let mut read = Arguments {
        seeds: 10_000,
        from: 0,
        seed: None,
        fault: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or(USAGE)?;
        let number = || {
            value
                .parse()
                .map_err(|_| format!("{value} is not a number\n{USAGE}"))
        };
        match name.as_str() {
            "--seeds" => read.seeds = number()?,
            "--from" => read.from = number()?,
            "--seed" => read.seed = Some(number()?),
            "--fault" => read.fault = Some(value.parse()?),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(read)
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(seed) = arguments.seed {
        return show(&Plan::from_seed(seed), arguments.fault);
    }
    match first_failure(&arguments) {
        None => {
            print_line(&format!("{} runs, no invariant violated", arguments.seeds));
            ExitCode::SUCCESS
        }
        Some((seed, violation)) => {
            print_line(&format!("seed {seed}: {violation}"));
            show(&Plan::from_seed(seed), arguments.fault)
        }
    }
}

/// Prints a line; a closed pipe is ignored.
fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The lowest seed that fails; runs on all processors.
fn first_failure(arguments: &Arguments) -> Option<(u64, Violation)> {
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let first = Mutex::new(None::<(u64, Violation)>);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let result = run(
                &Plan::from_seed(seed),
                arguments.fault,
                MemoryDisk::default(),
            )
            .1;
            if let Err(violation) = result {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(known, _)| seed < *known) {
                    *first = Some((seed, violation));
                }
                next.store(end, Ordering::Relaxed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn show(plan: &Plan, fault: Option<Fault>) -> ExitCode {
    let small = shrink(plan, fault);
    let (report, result) = trace(&small, fault);
    print_line(&format!("\n{small}"));
    for line in report.trace.unwrap_or_default() {
        print_line(&line);
    }
    let fault = fault
        .map(|fault| format!(" --fault {fault}"))
        .unwrap_or_default();
    match result {
        Ok(()) => {
            print_line(&format!("\nseed {}: no invariant violated", plan.seed));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            print_line(&format!("\n{violation}"));
            let seed = plan.seed;
            print_line(&format!(
                "to repeat: cargo run -p matricula-sim -- --seed {seed}{fault}"
            ));
            ExitCode::FAILURE
        }
    }
}
