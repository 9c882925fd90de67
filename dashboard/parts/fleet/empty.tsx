import { may } from '../../session.ts';
import { Copyable } from '../copyable.tsx';

/** No device yet: how the first one connects. */
export function NoDevices() {
  const { protocol, host, hostname, port } = location;
  const url = `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}`;
  const secure = protocol === 'https:';
  return (
    <section class="welcome">
      <h2>No device has connected yet</h2>
      <p>A device opens one WebSocket and says in its subprotocol which language it speaks:</p>
      <dl>
        <div>
          <dt>Address</dt>
          <dd>
            <code>{url}</code>
          </dd>
        </div>
        <div>
          <dt>Subprotocol</dt>
          <dd>
            <code>mqtt</code>, <code>v12.stomp</code> or <code>v1.cbor.muster</code>
          </dd>
        </div>
        <div>
          <dt>MQTT</dt>
          <dd>
            host <code>{hostname}</code>, port <code>{port || (secure ? '443' : '80')}</code>, transport{' '}
            <code>{secure ? 'wss' : 'ws'}</code>, topic <code>devices/me/telemetry</code>
          </dd>
        </div>
      </dl>
      {may('devices') && (
        <>
          <h3>Register a device, and get its token</h3>
          <Copyable label="Register a device" text="npm run --silent muster -- device add pump-1" />
        </>
      )}
      <h3>Or play a fleet of twenty</h3>
      <Copyable
        label="Play a fleet"
        text={`npm run --silent sim -- --url ${url} --token "$MUSTER_TOKEN" --devices 20 --duration forever`}
      />
      <p class="muted">
        Both in a terminal, in the checkout of Muster; <code>MUSTER_TOKEN</code> is the API token that the first start
        of the hub printed. Devices that are turned away stand under <a href="/dashboard/refused">Refused</a>, with the
        reason.
      </p>
    </section>
  );
}
