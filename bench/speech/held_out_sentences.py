"""What the callers of the held-out half say. Whoever tunes the turn manager does not read this file, nor single results of it.

Written after the waits were last changed on the other halves, by somebody who had not read the turn manager; the notation is
that of sentences.py. A pharmacy, an airline, a vet, an electricity supplier, a cinema, a taxi company, a library, a gym.
Once a line of this has been looked at to change a wait, it is validation, and a new half is due.
"""

from __future__ import annotations

# The pause falls inside a phrase.
_MID = """
I'd like to | pick up a prescription for | my {mother|husband}
our dog has been | limping since | {Thursday|last night}
I need to | change the name on | my ticket
could I get a | taxi to the | {station|stadium} at quarter past five
my suitcase was left | behind in | {Denver|Lisbon}
I'm phoning about the | electricity meter in | our basement
I want to renew the | {books|records} I borrowed in | March
the power went out on | our street about | an hour ago
we'd like to have | four seats in the | back row
my membership was meant to | end in | {June|September}
I was charged twice for | the same | {ride|ticket}
please let the driver know | we're standing | outside the church
the cat needs her | second vaccination before | the holidays
I was hoping to pay my | electricity bill in | three instalments
there should be a | wheelchair waiting for my | {grandmother|father} at the gate
the cream you gave me | makes my | skin itch
I've been looking for a | yoga class on | weekday mornings
I left a green | {scarf|backpack} in one of your | cabs
can you put aside | the last copy of | that cookbook for me
the flight was delayed by | nearly | seven hours
"""

# The pause falls between clauses.
_CLAUSE = """
I've taken two of the tablets | but my head still hurts
if the early flight is full | I don't mind the evening one
he won't touch his food | and he sleeps all day
before I sign up | I'd like to see the changing rooms
the meter shows one thing | and the letter says another
we can be at the corner in five minutes | if that's easier for the driver
I brought the book back on time | so I don't see why there's a fine
while you're looking that up | I'll go and get my card
they changed our gate three times | and then we missed it
we'd rather see the late show | because our babysitter comes at eight
I stopped training in January | but you still take the money every month
either you send someone tonight | or I'll stay at my sister's
"""

_QUESTION = """
how many of these | can I take | in one day
what's the weight limit for | a carry on bag
when does the | {pharmacy|library} close | tonight
do I have to | book the | spin class in advance
is it normal | for a puppy to | sleep that much
can you tell me | how long the | power will be off
are there any | seats left for the | {nine|ten} o'clock show
how much would a | cab to the | harbor be
does it come | without sugar
where can I | pick up my | boarding pass
who do we | have to call | at the weekend
could I borrow | more than | ten books
"""

# A whole sentence, then another one.
_TWO = """
my flight was cancelled this morning | I need another one today
the dog swallowed a sock | should I bring him in
I've been waiting on the corner for twenty minutes | where is the taxi
my name is {Ingrid Larsen|Tom Whitaker} | I ordered some eye drops
we've got no electricity | the neighbors have some
I'd like to cancel my membership | I'm moving to another city
the film was sold out | can we get our money back
I can't find my library card | do I need a new one
the inhaler doesn't help | I'd like a different one
there are three of us with a lot of luggage | please send a big car
"""

_OPENING = """
good afternoon | this is {Rosa Delgado|Ben Doyle} | I'm calling about my cat
hi | I need a cab please
hello | is this the library
good evening | I have a ticket for the flight to Oslo
hey there | what's on tonight
hi | good morning | our power is out
thanks for that | just one other question | is there a lift
sorry | I didn't catch your name
"""

_HESITATION = """
um | I'm calling because my dog isn't well
it's for | uh | a child of six
so | I guess | we'd need two cars
well | the meter is down in the cellar
uh | what was the question
let's see | the last reading was in November
I'd need it by | um | Wednesday at the latest
er | maybe the aisle seat then
the title is | uh | something with winter
hmm | that's a bit expensive for me
I mean | I only came twice last month
so | um | which pills are the cheaper ones
"""

_YES_NO = """
yes
no
sure
yes that's me
no not really
that's right
yes | we did
no | it's the first time
of course
no | just the hand luggage
yeah | I think so
okay | then let's do that
"""

_SHORT = """
this afternoon
at ten past eight
{Ingrid Larsen|Tom Whitaker}
only hand luggage
the cheaper ones
on Thursday
the window seat
twice a day
next to the bakery
in August
"""

_PLAIN = """
I need a taxi right away
my cat won't eat
do you have anything for a cough
the lights went out
I'd like an aisle seat please
how long is the movie
I lost my library card
can you hold it for me until Friday
what gate is it
I want to freeze my membership
is it safe for children
that's too late for me
I'll be there in ten minutes
she's eleven years old
please read the meter again
are dogs allowed on board
nobody told me about the fee
I'd like to join the gym
"""

SENTENCES = {
    "mid": _MID, "clause": _CLAUSE, "question": _QUESTION, "two": _TWO, "opening": _OPENING,
    "hesitation": _HESITATION, "yes_no": _YES_NO, "short": _SHORT, "plain": _PLAIN,
}  # fmt: skip
NAMES = "larsen whitaker delgado petrov okafor lindgren vasquez tanaka baxter doyle marino reid".split()
DOMAINS = ("fastmail dot com", "proton dot me", "live dot com")
NUMBER_LEADS = ("you can reach me on", "my mobile is", "the number's", "")
CARD_LEADS = ("my booking code is", "the customer number is", "")
SPELL_LEADS = ("it's under {name} | so that's", "the surname is spelled", "")
EMAIL_LEADS = ("send it to", "my address is", "")

PROMPTS = {
    "cannot-complete-as-dialed": "your call cannot be completed as dialed",
    "check-number-dial-again": "please check the number and dial again",
    "conf-full": "that conference is full",
    "conf-invalidpin": "that pin is invalid for this conference",
    "conf-kicked": "you have been kicked from this conference",
    "conf-leaderhasleft": "the leader has left the conference",
    "conf-noempty": "no empty conferences currently exist",
    "conf-now-recording": "the conference is now being recorded",
    "conf-onlyone": "there is currently one other participant in the conference",
    "conf-placeintoconf": "you will now be placed into the conference",
    "dir-nomatch": "no directory entries match your search",
    "enter-num-blacklist": "please enter the number to be blacklisted",
    "feature-not-avail-line": "that feature is not available on this line",
    "please-try-call-later": "please try your call again later",
    "pm-invalid-option": "that option is invalid please try again",
    "priv-introsaved": "thank you please hold while I attempt to connect you with your party",
    "priv-recordintro": "at the tone please say your name",
    "privacy-incorrect": "I'm sorry that number is not valid",
    "simul-call-limit-reached": "simultaneous call limit reached",
    "sorry-youre-having-problems": "sorry you're having problems",
    "tt-allbusy": "all representatives of the household are currently assisting other telemarketers please hold and your "
    "call will be answered in the order it was received",
    "tt-monkeysintro": "they have been carried away by monkeys",
    "vm-dialout": "please wait while I connect your call",
    "vm-mailboxfull": "sorry but the user's mailbox can't accept more messages",
    "vm-mismatch": "the passwords you entered and reentered did not match please try again",
    "vm-msgforwarded": "your message has been successfully forwarded",
    "vm-nobodyavail": "nobody is available to take your call at the moment",
    "vm-nobox": "you cannot reply to this message because the sender does not have a mailbox",
    "vm-nonumber": "I'm afraid I don't know who sent this message",
    "vm-savefolder": "which folder should I save the message to",
    "vm-tooshort": "your message is too short",
    "vm-whichbox": "to leave a message please enter a mailbox number",
}
"""Recordings of Asterisk's that neither the validation half nor bench/interruptions.py plays, by the list of its core sounds."""
