//! Software of others that the tests talk to: installed from its own registries, at pinned versions,
//! into `.peers`, never into the system.
//!
//! Pins live where their ecosystem wants them: `conformance/python/requirements.txt`,
//! `conformance/js/package-lock.json`, and for consumer libraries the same below
//! `conformance/consumers`. An installation carries a stamp of its pins and is made anew
//! when they change. The tests learn where things are from the environment, see [`Peers::vars`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// What the conformance tests need, where it was found. A missing part has its reason instead.
#[derive(Debug)]
pub struct Peers {
    /// The `bin` folder with a Python that has boto3, and the AWS CLI beside it.
    pub python: Result<PathBuf>,
    /// The folder `node_modules` with the JavaScript SDK.
    pub js: Result<PathBuf>,
    /// The `bin` folder with a Python that has the AWS Encryption SDK.
    pub encryption: Result<PathBuf>,
    /// What consumer libraries need.
    pub consumers: Consumers,
}

/// Consumer libraries, and the DynamoDB they keep their leases in.
#[derive(Debug)]
pub struct Consumers {
    /// The `bin` folder with a Python that has moto and the libraries.
    pub python: Result<PathBuf>,
    /// The folder `node_modules` with the libraries.
    pub js: Result<PathBuf>,
}

impl Peers {
    /// Installs what is missing. An installation that fails is kept as the peer's reason, so that a
    /// laptop without Node still runs everything else.
    pub fn install() -> Peers {
        let conformance = run::root().join("conformance");
        let python = venv("python", &conformance.join("python/requirements.txt"));
        let js = node_modules("js", &conformance.join("js"));
        let encryption =
            venv("encryption", &conformance.join("encryption/python/requirements.txt"));
        Peers { python, js, encryption, consumers: Consumers::install() }
    }

    /// The environment of the tests: one variable per peer that is there.
    pub fn vars(&self) -> Vec<(&'static str, PathBuf)> {
        let mut vars = Vec::new();
        if let Ok(bin) = &self.python {
            vars.push(("MILLSTREAM_PYTHON", bin.join("python")));
        }
        if let Ok(js) = &self.js {
            vars.push(("MILLSTREAM_NODE_MODULES", js.clone()));
        }
        if let Ok(bin) = &self.encryption {
            vars.push(("MILLSTREAM_ENCRYPTION_PYTHON", bin.join("python")));
        }
        vars.extend(self.consumers.vars());
        vars
    }

    /// Prints each peer; one that is missing fails a build server and is a visible skip elsewhere.
    pub fn report(&self) -> Result<()> {
        let mut missing = Vec::new();
        let peers = [
            ("Python, AWS CLI", &self.python),
            ("JavaScript", &self.js),
            ("AWS Encryption SDK for Python", &self.encryption),
            ("consumer libraries in Python, moto", &self.consumers.python),
            ("consumer libraries in JavaScript", &self.consumers.js),
        ];
        for (name, peer) in peers {
            match peer {
                Ok(path) => println!("    {name}: {}", path.display()),
                Err(error) => {
                    println!("    {name}: MISSING, its tests will be skipped: {error:#}");
                    missing.push(name);
                }
            }
        }
        if run::on_ci() && !missing.is_empty() {
            bail!("peers are missing, and with CI=true none may be: {}", missing.join("; "));
        }
        Ok(())
    }
}

impl Consumers {
    /// As [`Peers::install`].
    pub fn install() -> Consumers {
        let folder = run::root().join("conformance/consumers");
        Consumers {
            python: venv("consumers", &folder.join("python/requirements.txt")),
            js: node_modules("consumers-js", &folder.join("js")),
        }
    }

    /// As [`Peers::vars`].
    pub fn vars(&self) -> Vec<(&'static str, PathBuf)> {
        let mut vars = Vec::new();
        if let Ok(bin) = &self.python {
            vars.push(("MILLSTREAM_CONSUMERS_PYTHON", bin.join("python")));
        }
        if let Ok(js) = &self.js {
            vars.push(("MILLSTREAM_CONSUMERS_NODE_MODULES", js.clone()));
        }
        vars
    }
}

/// The folder of everything that is installed here.
pub fn folder() -> PathBuf {
    run::root().join(".peers")
}

/// A virtual environment `.peers/<name>` with the packages of `requirements`; returns its `bin`.
pub fn venv(name: &str, requirements: &Path) -> Result<PathBuf> {
    let python = run::which("python3").context("no python3 on the search path")?;
    let home = folder().join(name);
    let wanted = read(requirements)?;
    fresh(&home, &wanted, || {
        let make = Command::new(&python).args(["-m", "venv", "--clear"]).arg(&home).status();
        if !make.is_ok_and(|status| status.success()) {
            bail!("python3 -m venv failed (on Debian: apt-get install python3-venv)");
        }
        let mut pip = Command::new(home.join("bin/python3"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run::quietly(pip.arg("--requirement").arg(requirements))
    })?;
    Ok(home.join("bin"))
}

/// A folder `.peers/<name>` with what the `package.json` and its lock in `pins` name; returns its
/// `node_modules`.
pub fn node_modules(name: &str, pins: &Path) -> Result<PathBuf> {
    run::which("node").context("no node on the search path")?;
    let npm = run::which("npm").context("no npm on the search path")?;
    let home = folder().join(name);
    let wanted = read(&pins.join("package-lock.json"))?;
    fresh(&home, &wanted, || {
        std::fs::create_dir_all(&home)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(pins.join(file), home.join(file))?;
        }
        let args = ["ci", "--no-fund", "--no-audit", "--ignore-scripts"];
        run::quietly(Command::new(&npm).args(args).current_dir(&home))
    })?;
    Ok(home.join("node_modules"))
}

/// Does `install` unless `home` carries the stamp `wanted`; stamps it afterwards.
pub fn fresh(home: &Path, wanted: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = home.join(".stamp");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::create_dir_all(home)?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_made_once_and_again_when_its_pins_change() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut made = 0;
        for pins in ["a==1", "a==1", "a==2"] {
            fresh(home.path(), pins, || {
                made += 1;
                Ok(())
            })
            .expect("nothing fails");
        }
        assert_eq!(made, 2);
    }

    #[test]
    fn a_failed_installation_leaves_no_stamp() {
        let home = tempfile::tempdir().expect("a temporary folder");
        fresh(home.path(), "a==1", || bail!("no network")).expect_err("the error comes through");
        assert!(!home.path().join(".stamp").exists());
    }
}
