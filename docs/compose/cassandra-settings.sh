#!/usr/bin/env bash
# Used by compose.yaml: the settings that `cargo xtask services up` gives its nodes, on top of the
# image's own cassandra.yaml.
set -euo pipefail
yaml=/etc/cassandra/cassandra.yaml

put() { # replaces the setting where it stands, or adds it
  sed -i -E "/^#? ?$1:/d" "$yaml"
  printf '%s: %s\n' "$1" "$2" >>"$yaml"
}
put memtable_allocation_type offheap_objects
put memtable_heap_space "${MEMTABLE_HEAP:-96MiB}"
put memtable_offheap_space "${MEMTABLE_OFFHEAP:-192MiB}"
put storage_compatibility_mode NONE
put auto_snapshot false
if ! grep -q '^sstable:' "$yaml"; then printf 'sstable: { selected_format: bti }\n' >>"$yaml"; fi

exec docker-entrypoint.sh cassandra -f
