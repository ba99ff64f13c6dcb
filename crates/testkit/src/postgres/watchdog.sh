# Runs a throw-away PostgreSQL cluster for as long as standard input stays open.
#
#     sh -c THIS gavah-pg-watchdog BIN_FOLDER CONF_LINES PORT…
#
# Whoever started this holds the other end of the pipe on standard input. The operating system closes it however that
# process ends, SIGKILL included; then the cluster is stopped and its folder removed. Standard output tells
# "ready PORT FOLDER", or nothing and then standard error says why. The password of the superuser is in GAVAH_PG_PASSWORD.
set -u
bin=$1 conf=$2
shift 2
folder=

clean_up() {
    trap '' HUP INT PIPE TERM
    if [ -n "$folder" ]; then
        # The postmaster's first line of postmaster.pid is its process id; pg_ctl signals that one process only.
        [ ! -e "$folder/data/postmaster.pid" ] ||
            as_owner "$bin/pg_ctl" stop --pgdata="$folder/data" --mode=immediate --timeout=20 --silent
        rm -rf "$folder"
    fi
}

# PostgreSQL refuses to run as root: as root everything of the cluster runs as an unprivileged user.
if [ "$(id -u)" -eq 0 ]; then
    owner=nobody
    if id postgres >/dev/null 2>&1; then owner=postgres; fi
    if command -v setpriv >/dev/null 2>&1; then
        as_owner() { setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@" </dev/null; }
    elif command -v runuser >/dev/null 2>&1; then
        as_owner() { runuser -u "$owner" -- "$@" </dev/null; }
    else
        echo "neither setpriv nor runuser is there to leave root: apt-get install util-linux" >&2
        exit 1
    fi
else
    owner=$(id -un)
    as_owner() { "$@" </dev/null; }
fi

trap clean_up EXIT
trap 'exit 1' HUP INT PIPE TERM
folder=$(mktemp -d "${TMPDIR:-/tmp}/gavah-pg.XXXXXX") || exit 1
cd "$folder" || exit 1
(umask 077 && printf '%s\n' "$GAVAH_PG_PASSWORD" >password) && : >log && chown -R "$owner" "$folder" || exit 1

# --no-sync: a cluster that never outlives its test need not survive a power cut. Its own commits are flushed as ever.
as_owner "$bin/initdb" --pgdata="$folder/data" --username=postgres --pwfile="$folder/password" --auth=password \
    --encoding=UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1 || {
    cat "$folder/initdb.log" >&2
    exit 1
}
printf '%s\n' "$conf" >>"$folder/data/postgresql.conf" || exit 1

# A port that was free a moment ago may be taken by now: the next one is tried.
for port; do
    if as_owner "$bin/pg_ctl" start --pgdata="$folder/data" --log="$folder/log" --options="-p $port" --wait \
        --timeout=30 --silent >/dev/null 2>&1; then
        echo "ready $port $folder"
        # Waits for the end of standard input. A signal ends the wait as well.
        while read -r _; do :; done
        exit 0
    fi
    grep -q 'could not bind' "$folder/log" || break
done
tail -n 20 "$folder/log" >&2
exit 1
