"""Single requests to every endpoint, for the snapshot requests.snap."""

import endpoints_accounts
import endpoints_directory
import endpoints_events
import endpoints_history
import endpoints_keys
import endpoints_rooms
import endpoints_sync
import endpoints_user_data
from probe import Probe

probe = Probe()
for name in ("alice", "bob", "carol"):
    probe.register(name)
for part in (
    endpoints_accounts,
    endpoints_rooms,
    endpoints_events,
    endpoints_history,
    endpoints_directory,
    endpoints_user_data,
    endpoints_keys,
    endpoints_sync,
):
    part.run(probe)
