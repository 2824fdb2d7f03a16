//! What a machine needs so that a driver can drive it.

use std::sync::Arc;

use matricula_core::{
    CredentialRef, EffectId, Job, Machine, Scheduler, StoreError, TransportResult,
    scheduler::{Effect, Input},
};

/// A [`Machine`] that a driver can drive.
///
/// The driver carries out the effects that every machine over HTTP has: it sends requests, aborts
/// them, renews credentials and reads the store. All other effects, and all events, go to the
/// machine's [`Host`]. `Runner::builder()` sets the transport and the store, and its method `drive`
/// starts the driver.
///
/// A [`Scheduler`] is the smallest driven machine; a larger one hosts a scheduler and forwards its
/// inputs and effects.
pub trait DrivenMachine: Machine<Input: Send, Effect: Send, Event: Send> + Send + 'static {
    /// Says who carries out an effect.
    fn carry(effect: Self::Effect) -> Carry<Self::Effect>;

    /// The machine's input for what the driver reports. `None` drops the report: the machine has no
    /// use for it.
    fn input(report: DriverInput) -> Option<Self::Input>;
}

/// Who carries out an effect, and what it asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Carry<E> {
    /// The driver sends this job, and answers with [`DriverInput::Completed`].
    Send(EffectId, Arc<Job>),
    /// The driver stops sending. There is no answer.
    Abort(EffectId),
    /// The driver renews this credential, and answers with [`DriverInput::CredentialReady`] or
    /// [`DriverInput::CredentialRefused`]. Without a renewal nothing happens.
    NeedCredential(CredentialRef),
    /// The driver reads the store, and answers with [`DriverInput::Loaded`].
    Load(Load),
    /// The host carries this effect out.
    Host(E),
}

/// Keys to read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Repeated in the answer.
    pub id: EffectId,
    /// Table and key of each row.
    pub keys: Vec<(String, String)>,
}

/// What a driver reports to its machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DriverInput {
    /// The answer to [`Carry::Send`].
    Completed(EffectId, TransportResult),
    /// The answer to [`Carry::Load`]: one value for each key, `None` where there is no row. Everything
    /// that the machine wrote before is in it.
    Loaded(EffectId, Result<Vec<Option<Vec<u8>>>, StoreError>),
    /// The credential was renewed.
    CredentialReady(CredentialRef),
    /// The credential cannot be renewed.
    CredentialRefused(CredentialRef),
    /// The time in [`Step::wake_at`](matricula_core::Step::wake_at) has come.
    Wake,
}

/// Receives what a driver does not carry out itself.
///
/// Its methods run while the driver's state is locked: they must not block and must not call the
/// driver. A typical host puts everything into a channel.
pub trait Host<M: DrivenMachine>: Send + 'static {
    /// Takes an event. Everything that it depends on is durable.
    fn event(&mut self, event: M::Event);

    /// Takes an effect that [`DrivenMachine::carry`] left to the host.
    fn effect(&mut self, effect: M::Effect);

    /// The store could not be written. The driver takes no more inputs, and there are no more events.
    fn store_failed(&mut self, error: &StoreError);
}

impl DrivenMachine for Scheduler {
    fn carry(effect: Effect) -> Carry<Effect> {
        match effect {
            Effect::Send(id, job) => Carry::Send(id, job),
            Effect::Abort(id) => Carry::Abort(id),
            Effect::NeedCredential(credential) => Carry::NeedCredential(credential),
            other => Carry::Host(other),
        }
    }

    fn input(report: DriverInput) -> Option<Input> {
        match report {
            DriverInput::Completed(id, result) => Some(Input::Completed(id, result)),
            DriverInput::CredentialReady(credential) => Some(Input::CredentialReady(credential)),
            DriverInput::CredentialRefused(credential) => {
                Some(Input::CredentialRefused(credential))
            }
            DriverInput::Wake => Some(Input::Wake),
            // A scheduler reads nothing after it was restored.
            DriverInput::Loaded(..) => None,
        }
    }
}
