import { Prosody } from '../support/prosody.mjs';
import { testMessages } from './scenarios/messages.mjs';
import { openPlace } from './scenarios/place.mjs';

testMessages(openPlace(() => Prosody.start(), { workers: 3 }));
