#!/bin/sh
# Makes, once, what the services share: the SFU's key, Roomtone's registration, the homeserver's settings.
# A second run changes no secret. Runs as Roomtone's user, without a network.
set -eu
umask 077

sfu=/etc/roomtone/sfu
registration=/etc/roomtone/registration

# The secret comes last: while it is missing, this step has not been done.
if [ ! -s "$sfu/livekit.secret" ]; then
    secret=$(od -An -vtx1 -N32 /dev/urandom | tr -d ' \n')
    printf 'roomtone: %s\n' "$secret" > "$sfu/livekit.keys"
    printf '%s\n' "$secret" > "$sfu/livekit.secret.new"
    mv "$sfu/livekit.secret.new" "$sfu/livekit.secret"
    echo "init: made a key for the SFU"
fi

if [ ! -s "$registration/registration.yaml" ]; then
    roomtone registration --config /etc/roomtone/roomtone.yaml
    echo "init: made Roomtone's registration"
fi

# Made anew each time: a changed name in .env takes effect with the next start of Synapse.
sed -e "s/rtc\.example\.org/$RTC_HOST/g" -e "s/matrix\.example\.org/$HOMESERVER_HOST/g" \
    /usr/local/share/roomtone/homeserver.roomtone.yaml > "$registration/homeserver.roomtone.yaml"
