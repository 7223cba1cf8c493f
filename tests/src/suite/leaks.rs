//! Tests of how many copies of a password are left in memory.

use anyhow::{Context, Result, ensure};
use rotation_driver::Function;

use crate::fixture::Fixture;
use crate::memory::copies;
use crate::server::Server;
use crate::suite::recovery::{MASTER, SINGLE};

/// The maximum number of copies of each password in a function that waits for its next event. This
/// project's own code overwrites what it holds. The remaining copies are in buffers of the HTTP
/// client, the JSON reader and the database driver, which free memory without overwriting it.
const MAX_COPIES: usize = 12;

/// Counts the copies after three rotations by one process.
pub async fn few_copies_of_passwords_stay_in_memory<T: Server>(target: T) -> Result<()> {
    for strategy in [SINGLE, MASTER] {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function(strategy);
        let mut passwords = vec![password(&fixture, "AWSCURRENT")?];
        for _ in 0..3 {
            fixture.rotate(&function).await?;
            passwords.push(password(&fixture, "AWSCURRENT")?);
        }
        let Function::Program(program) = &function else { return Ok(()) };
        let process = program.process_id().context("the function has no process")?;
        let texts: Vec<&str> = passwords.iter().map(String::as_str).collect();
        let counts = copies(process, &texts)?;
        println!("{} {strategy}: copies of each password, the oldest first: {counts:?}", T::ENGINE);
        ensure!(counts.iter().all(|count| *count <= MAX_COPIES), "{counts:?} copies");
    }
    Ok(())
}

fn password<T: Server>(fixture: &Fixture<T>, label: &str) -> Result<String> {
    Ok(fixture.value(label)?["password"].as_str().context("the secret has no password")?.to_owned())
}
