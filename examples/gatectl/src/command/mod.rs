//! One file for each command.

mod agent;
mod ambient;
mod convert;
mod credential_helper;
mod explain;
mod login;
mod netrc;
mod policy;
mod release;
mod scan;
mod session;
mod token;

use clap::CommandFactory;

use crate::cli::{Auth, Cli, Command, CredentialHelper, Netrc, Policy};
use crate::context::Context;
use crate::failure::Failed;
use crate::show::print;

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failed> {
    match command {
        Command::Login(login) => login::login(context, &login).await,
        Command::Logout(logout) => session::logout(context, &logout).await,
        Command::Status => session::status(context),
        Command::Whoami => session::whoami(context).await,
        Command::Agent(agent) => agent::agent(context, &agent).await,
        Command::Auth(Auth::Token(token)) => token::token(context, token).await,
        Command::Resolve(resolve) => release::resolve(context, &resolve).await,
        Command::Fetch(fetch) => release::fetch(context, &fetch).await,
        Command::Explain(explain) => explain::explain(context, explain).await,
        Command::Policy(Policy::Lint { rules }) => policy::lint(context, &rules),
        Command::Policy(Policy::Test(test)) => policy::test(context, &test),
        Command::CredentialHelper(CredentialHelper::Get) => credential_helper::get(context).await,
        Command::Netrc(Netrc::Doctor { file }) => netrc::doctor(context, file.as_deref()),
        Command::Scan(scan) => scan::scan(context, &scan),
        Command::Convert(convert) => convert::convert(context, &convert).await,
        Command::Ambient(ambient) => ambient::ambient(context, &ambient).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "gatectl", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}
