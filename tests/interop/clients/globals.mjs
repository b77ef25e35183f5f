// What browsers and newer Nodes have and Debian's Node 18 has not; imported before the clients.
import { webcrypto } from 'node:crypto';
import WebSocket from 'ws';

globalThis.crypto ??= webcrypto;
globalThis.WebSocket ??= WebSocket;
