//! Where a password is not to be found.

use anyhow::{Context, Result, ensure};
use rotation_local::Function;

use crate::memory::copies;
use crate::scene::Fixture;
use crate::server::Server;
use crate::suite::recovery::{MASTER, SINGLE};

/// How many copies of each password may be left in a function that waits for its next event. What
/// this project's own code holds is overwritten; what is left stands in buffers of the HTTP client,
/// the JSON reader and the database's driver, which free without overwriting.
const MOST_COPIES: usize = 12;

/// After three rotations by one process.
pub async fn few_copies_of_passwords_are_left_in_memory<T: Server>(target: T) -> Result<()> {
    for strategy in [SINGLE, MASTER] {
        let scene = Fixture::new(&target).await?;
        let function = scene.function(strategy);
        let mut passwords = vec![password(&scene, "AWSCURRENT")?];
        for _ in 0..3 {
            scene.rotate(&function).await?;
            passwords.push(password(&scene, "AWSCURRENT")?);
        }
        let Function::Program(program) = &function else { return Ok(()) };
        let process = program.process_id().context("no process")?;
        let texts: Vec<&str> = passwords.iter().map(String::as_str).collect();
        let counts = copies(process, &texts)?;
        println!("{} {strategy}: copies of each password, the oldest first: {counts:?}", T::ENGINE);
        ensure!(counts.iter().all(|count| *count <= MOST_COPIES), "{counts:?} copies");
    }
    Ok(())
}

fn password<T: Server>(scene: &Fixture<T>, label: &str) -> Result<String> {
    Ok(scene.value(label)?["password"].as_str().context("no password")?.to_owned())
}
