// The page that hosts Element Call's widget, as Element Web would: matrix-widget-api on this side of the iframe,
// the Matrix client in Node behind hostCall(). Bundled by set-up (esbuild) into hostbundle.js.
import { ClientWidgetApi, OpenIDRequestState, Widget, WidgetDriver } from 'matrix-widget-api';

const call = async (method, ...args) => {
  const answer = JSON.parse(await window.hostCall(JSON.stringify([method, ...args])));
  if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer.ok;
};

class Driver extends WidgetDriver {
  async validateCapabilities(requested) { return requested; }
  async sendEvent(type, content, stateKey = null) { return call('sendEvent', type, content, stateKey); }
  async sendDelayedEvent(delay, type, content, stateKey = null) { return call('sendDelayedEvent', delay, type, content, stateKey); }
  async cancelScheduledDelayedEvent(id) { return call('delayed', id, 'cancel'); }
  async restartScheduledDelayedEvent(id) { return call('delayed', id, 'restart'); }
  async sendScheduledDelayedEvent(id) { return call('delayed', id, 'send'); }
  async sendToDevice(type, encrypted, map) { return call('sendToDevice', type, encrypted, map); }
  async readRoomTimeline() { return []; }
  async readRoomEvents() { return []; }
  async readStickyEvents() { return []; }
  async readRoomState(room, type, stateKey) { return call('readState', type, stateKey ?? null); }
  async readStateEvents(type, stateKey) { return call('readState', type, stateKey ?? null); }
  askOpenID(observer) { call('openid').then((token) => observer.update({ state: OpenIDRequestState.Allowed, token })); }
  async getRtcTransports() { return call('transports'); }
  getKnownRooms() { return [window.ROOM]; }
}

window.startWidget = (url, user, room) => {
  window.ROOM = room;
  const frame = document.createElement('iframe');
  frame.allow = 'microphone; camera; autoplay; display-capture';
  frame.style.cssText = 'position:fixed;inset:0;width:100%;height:100%;border:0';
  document.body.appendChild(frame);
  const widget = new Widget({ id: 'ec', creatorUserId: user, type: 'm.custom', url, waitForIframeLoad: false });
  const api = window.api = new ClientWidgetApi(widget, frame, new Driver());
  api.setViewedRoomId(room);
  api.on('ready', () => call('widget', 'ready'));
  // content_loaded must not be intercepted: the API itself answers it.
  for (const action of ['io.element.join', 'im.vector.hangup', 'io.element.close', 'io.element.device_mute', 'set_always_on_screen'])
    api.on('action:' + action, (event) => { call('widget', action); event.preventDefault(); api.transport.reply(event.detail, {}); });
  frame.src = url;
};
window.hangUp = () => window.api.transport.send('im.vector.hangup', {});
