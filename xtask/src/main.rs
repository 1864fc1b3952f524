//! The project's own tasks.

use clap::Parser;

mod codegen;
mod models;

#[derive(Debug, Parser)]
#[command(about, arg_required_else_help = true)]
enum Task {
    /// Fetch AWS's service models and keep what we need of them in models/.
    Models(models::Args),
    /// Turn models/ into crates/api/src/gen/.
    Codegen(codegen::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Models(args) => models::run(&args),
        Task::Codegen(args) => codegen::run(&args),
    }
}
