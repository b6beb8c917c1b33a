"""Runs scim2-tester against a directory of a running server. Fails where one check fails, and where too few ran."""

import os
import sys
from collections import Counter

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

headers = {"Authorization": f"Bearer {os.environ['CACHEGATE_TOKEN']}"}
client = Client(base_url=os.environ["CACHEGATE_SCIM"], headers=headers, timeout=60)
results = check_server(SyncSCIMClient(client))
counted = Counter(result.status.name for result in results)
print(dict(counted))
for result in results:
    if result.status not in (Status.SUCCESS, Status.COMPLIANT):
        print(result.status.name, result.resource_type, result.title, result.reason)
good = counted["SUCCESS"] + counted["COMPLIANT"]
sys.exit(0 if good == len(results) and good >= 50 else 1)
