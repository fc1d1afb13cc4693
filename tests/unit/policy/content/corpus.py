"""Sentences in five languages with what must be hidden in them, marked as ``⟦KIND:value⟧``.

All data is invented: numbers that schemes, regulators and registries print as examples or keep free, or that merely
pass their check digits. Lines without a mark look like personal data and are not.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MARK = re.compile(r"⟦(\w+):([^⟧]*)⟧")


class Sample(NamedTuple):
    """A text, and the kinds and values to be hidden, in order."""

    locale: str
    text: str
    expected: tuple[tuple[str, str], ...]


ENGLISH = """
Please write to ⟦EMAIL:jane.doe@example.com⟧ about the garden.
Contact: ⟦EMAIL:j.o'brien+news@mail.example.co.uk⟧, or come by.
Reply to <⟦EMAIL:Sales_Team@EXAMPLE.ORG⟧>; thanks!
mailto:⟦EMAIL:first.last@sub.example.travel⟧?subject=Hi
https://shop.example/?email=⟦EMAIL:jane%40example.com⟧&page=2
Both ⟦EMAIL:a@b.example⟧ and ⟦EMAIL:x-y_z@b-c.example⟧ bounced.
The sentence ends at ⟦EMAIL:jane@example.net⟧.
"⟦EMAIL:bob@xn--bcher-kva.example⟧" is his address
My number is ⟦PHONE:(202) 555-0143⟧ after six.
Call ⟦PHONE:202-555-0156⟧ or ⟦PHONE:415.555.0132⟧ today
Dial ⟦PHONE:+1 202 555 0178⟧ from abroad.
Toll free: ⟦PHONE:1-800-555-0199⟧
text me at ⟦PHONE:4155550101⟧ please
London office ⟦PHONE:020 7946 0958⟧, Leeds ⟦PHONE:0113 496 0123⟧
Her mobile is ⟦PHONE:07700 900123⟧.
From France dial ⟦PHONE:0044 20 7946 0018⟧
UK: ⟦PHONE:+44 (0)20 7946 0991⟧ and US: ⟦PHONE:+1-415-555-0110⟧
Card ⟦CARD:4111 1111 1111 1111⟧, expires 12/27, CVC 123.
I paid with ⟦CARD:5555-5555-5555-4444⟧ yesterday
amex ⟦CARD:3782 822463 10005⟧ was declined
Use test card ⟦CARD:4242424242424242⟧ or ⟦CARD:6011111111111117⟧.
The old one, ⟦CARD:4222222222222⟧, has 13 digits
Send it to ⟦IBAN:GB82 WEST 1234 5698 7654 32⟧ by Friday.
iban ⟦IBAN:gb33bukb20201555555555⟧ ok?
Payee IBAN: ⟦IBAN:IE29AIBK93115212345678⟧ and thank you
SSN ⟦NATIONAL_ID:078-05-1120⟧ is printed in every example.
His social security number: ⟦NATIONAL_ID:219099999⟧
My SSN's ⟦NATIONAL_ID:123 45 6789⟧, right?
NI number ⟦NATIONAL_ID:QQ 12 34 56 C⟧ as on the form
Payroll needs ⟦NATIONAL_ID:AB123456C⟧
NHS number: ⟦NATIONAL_ID:943 476 5919⟧
NHS no ⟦NATIONAL_ID:4010232137⟧ for the referral
Jane, ⟦EMAIL:jane@example.com⟧, ⟦PHONE:202-555-0143⟧, card ⟦CARD:378282246310005⟧
Order 4711-0815-2342 shipped on 2026-11-21.
Order number 4155550101 is late
Invoice #20261121-000123 totals $1,234.56
It costs 1,299.00 USD or £1 050.00, that is 12.5% off.
ISBN 978-3-16-148410-0 and ISBN 0-306-40615-2
Python 3.12.1, Django 5.2.8, version 10.15.7.19204
The router is 192.168.100.200 and the mask 255.255.255.0
Meet on 11/21/2026 at 10:30, or 12-24-2026 16:45:00
Ids: 550e8400-e29b-41d4-a716-446655440000 and a94a8fe5ccb19ba61c4c0873d391e987982fbbd3
Install lodash@4.17.21, logo@2x.png and @angular/core
Timestamp 1732172400, epoch ms 1732172400123
Card 4111 1111 1111 1112 fails the check.
IBAN GB82 WEST 1234 5698 7654 33 has a typo
Not a number to issue: 000-12-3456 and 666-12-3456 and 123-00-4567
Tracking 1Z999AA10123456784, SKU 12345-67890
Between 1000 and 2000 people, 3.14159265 and 0.123456789
EAN 4006381333931 is a highlighter
Follow @jane_doe and see example.com/a@b
Row 12 34 56 78 90 11 22 33 44 55 66 77 88 99 10 20 30
"""

GERMAN = """
Bitte schreiben Sie an ⟦EMAIL:erika.mustermann@example.de⟧.
Kontakt: ⟦EMAIL:max@müller.example⟧ (nur werktags)
Mail an ⟦EMAIL:jürgen.groß@example.com⟧ genügt
Antwort an „⟦EMAIL:info@beispiel-shop.example⟧“, danke
Kopie an ⟦EMAIL:a.b@example.at⟧; ⟦EMAIL:c.d@example.ch⟧
Rufen Sie ⟦PHONE:030 23125 123⟧ an.
Tel.: ⟦PHONE:030/23125-456⟧, Fax: ⟦PHONE:030/23125-457⟧
Mobil ⟦PHONE:0171 3920012⟧ oder ⟦PHONE:0176-04069012⟧
Aus dem Ausland ⟦PHONE:+49 30 23125 789⟧
Die Nummer ist ⟦PHONE:+49 (0) 171 39 200 34⟧.
Handy:⟦PHONE:01522 8817386⟧
⟦PHONE:(0221) 4710 123⟧ ist die Zentrale
Auch ⟦PHONE:0049 221 4710 456⟧ geht
Hotline ⟦PHONE:0800 1234567⟧, kostenlos
Meine IBAN ist ⟦IBAN:DE89 3704 0044 0532 0130 00⟧ bei der Bank.
Überweisen an ⟦IBAN:DE75512108001245126199⟧ bitte
Konto ⟦IBAN:DE89-3704-0044-0532-0130-00⟧
Österreich: ⟦IBAN:AT61 1904 3002 3457 3201⟧, Schweiz: ⟦IBAN:CH93 0076 2011 6238 5295 7⟧
Kleingeschrieben ⟦IBAN:de89370400440532013000⟧ zählt auch
Kreditkarte ⟦CARD:4012 8888 8888 1881⟧, gültig bis 09/28
Karte:⟦CARD:5105105105105100⟧
Visa ⟦CARD:4000-0025-0000-3155⟧ bitte belasten
Steuer-ID ⟦NATIONAL_ID:86 095 742 719⟧ steht im Bescheid
IdNr.: ⟦NATIONAL_ID:36574261809⟧
Meine Steuernummer für Rente: ⟦NATIONAL_ID:65 929 970 489⟧.
ID ⟦NATIONAL_ID:47036892816⟧ liegt vor
Erika, ⟦EMAIL:erika@example.de⟧, ⟦PHONE:030 23125 123⟧, ⟦IBAN:DE89370400440532013000⟧
Erst ⟦EMAIL:erika@example.de⟧ und dann wieder ⟦EMAIL:erika@example.de⟧
Hinter der Nummer: ⟦PHONE:+43 1 25025 12⟧ (Wien)
Zürich ⟦PHONE:+41 44 668 18 00⟧
Gestern, am 21.11.2026 um 10:30 Uhr, kam nichts.
Bestellnummer 0301234567 ist unterwegs
Rechnung RE-2026-00123 vom 01.02.2026 über 1.234.567,89 €
Kundennummer 0815 4711 12, Vorgang 2026/004711
Artikel 4006381333931, Menge 12, Preis 19,99 EUR
Öffnungszeiten: 09.00-17.30 und 08:00 - 12:00
ISBN 978-3-86680-192-9, ISSN 1234-5679
Version 2.14.0, Build 20261121.3, Python 3.11
PLZ 01067 Dresden, Hausnummer 12-14
Server 10.0.0.12, Maske 255.255.255.0
IBAN DE89 3704 0044 0532 0130 01 ist falsch
Steuer-ID 86 095 742 718 hat einen Zahlendreher
Kreditkarte 4012 8888 8888 1882 ist ungültig
Paragraph 433 BGB, Seite 1024, Kapitel 12.3.4
Zwischen 1.000 und 2.000.000 Einwohnern, 12,5 % mehr
Aktenzeichen 12 O 345/26, Az. 1 BvR 2649/21
Es waren 3.141.592 Euro, nicht 31.415.926 €
Von 03/2026 bis 07/2026, KW 47
Das Muster lautet name@firma
Messwert 0.123456789 bei 20.5 Grad
Die Reihe 2 3 5 7 11 13 17 19 23 29 31 37
"""

FRENCH = """
Écrivez à ⟦EMAIL:marie.dupont@example.fr⟧ avant lundi.
Contact : ⟦EMAIL:rené@société.example⟧ ou passez nous voir
Envoyez-le à «⟦EMAIL:service-client@boutique.example⟧»
Copie : ⟦EMAIL:a@example.fr⟧,⟦EMAIL:b@example.fr⟧
L'adresse d'Anne est ⟦EMAIL:anne_l@example.be⟧!
Appelez le ⟦PHONE:01 99 00 12 34⟧ demain.
Tél. : ⟦PHONE:01.99.00.56.78⟧
Mon portable : ⟦PHONE:06 39 98 12 34⟧
Fixe ⟦PHONE:0199001234⟧, merci
Depuis l'étranger : ⟦PHONE:+33 1 99 00 12 34⟧
Le ⟦PHONE:+33 (0)6 39 98 56 78⟧ répond toujours
Joindre ⟦PHONE:02-61-91-12-34⟧ ou ⟦PHONE:03 53 01 12 34⟧
Composez ⟦PHONE:0033 4 65 71 12 34⟧
Numéro vert ⟦PHONE:0800 123 456⟧
Bruxelles : ⟦PHONE:+32 2 555 12 34⟧
Carte ⟦CARD:4970 1012 3456 7893⟧, fin 03/28
CB n° ⟦CARD:5555555555554444⟧
Payé par ⟦CARD:4111-1111-1111-1111⟧ hier
Ma carte ⟦CARD:3714 496353 98431⟧ est bloquée
IBAN ⟦IBAN:FR14 2004 1010 0505 0001 3M02 606⟧ à débiter
Virement sur ⟦IBAN:FR7630006000011234567890189⟧ svp
Compte belge ⟦IBAN:BE68 5390 0754 7034⟧ et luxembourgeois ⟦IBAN:LU28 0019 4006 4475 0000⟧
Numéro de sécu ⟦NATIONAL_ID:1 85 05 78 006 084 91⟧
NIR : ⟦NATIONAL_ID:299017505612364⟧
Née à Bastia : ⟦NATIONAL_ID:2 95 11 2B 033 123 30⟧
Assuré ⟦NATIONAL_ID:1.70.06.92.012.345.23⟧.
Marie, ⟦PHONE:06 39 98 00 11⟧, ⟦EMAIL:marie@example.fr⟧
Deux fois : ⟦PHONE:01 99 00 12 34⟧ et ⟦PHONE:01 99 00 12 34⟧
Paris ⟦PHONE:01 99 00 00 01⟧ / Lyon ⟦PHONE:04 65 71 00 02⟧
Fax:⟦PHONE:01 99 00 99 99⟧
Commande 0199001234 expédiée
Le 21/11/2026 à 10h30, salle 204.
Facture n° 2026-000123 : 1 234,56 €
Prix : 1 299 € au lieu de 1 499,00 euros
ISBN 978-2-07-036822-8 chez l'éditeur
Version 3.12.1 du 01.02.2026
Code postal 75008 Paris, bâtiment 12
Serveur 172.16.254.1 éteint
Colis 6A12345678901 en route
Référence 0612345678 du catalogue
Carte 4970 1012 3456 7891 refusée
IBAN FR14 2004 1010 0505 0001 3M02 607 erroné
NIR 1 85 05 78 006 084 92 erroné
Hausse de 12,5 % entre 2025 et 2026
De 09:00 - 17:30, du lundi au vendredi
SIRET 732 829 320 00074 de la société
Article L. 121-3, alinéa 12
Latitude 48.856614, longitude 2.352222
Il y a 67 123 456 habitants
Numéros gagnants 5 12 23 34 45 49
Voir la page 1234, figure 12.3
"""

SPANISH = """
Escribe a ⟦EMAIL:maria.garcia@example.es⟧ hoy mismo.
Correo: ⟦EMAIL:peña@españa.example⟧
Responde a ⟦EMAIL:ventas+web@tienda.example⟧, por favor
¿Es ⟦EMAIL:jose@example.com.mx⟧ tu correo?
Copia a ⟦EMAIL:a1@example.org⟧ y ⟦EMAIL:b2@example.org⟧
Llámame al ⟦PHONE:612 345 678⟧ luego.
Móvil: ⟦PHONE:612345678⟧
Teléfono ⟦PHONE:912 34 56 78⟧, ext. 12
Fijo ⟦PHONE:93 123 45 67⟧ en Barcelona
Desde fuera: ⟦PHONE:+34 912 345 678⟧
WhatsApp ⟦PHONE:+34612345678⟧
Marca ⟦PHONE:0034 612 345 678⟧
México: ⟦PHONE:+52 55 5555 1234⟧
Argentina: ⟦PHONE:+54 11 5555-1234⟧
Su móvil es ⟦PHONE:712-345-678⟧
Tarjeta ⟦CARD:4548 8100 0000 0003⟧, caduca 12/49
Pagué con ⟦CARD:5555-5555-5555-4444⟧
Tarjeta:⟦CARD:4111111111111111⟧
La mía es ⟦CARD:3782 822463 10005⟧
IBAN ⟦IBAN:ES91 2100 0418 4502 0005 1332⟧ de la cuenta
Ingreso en ⟦IBAN:ES7921000813610123456789⟧ mañana
Cuenta portuguesa ⟦IBAN:PT50 0002 0123 1234 5678 9015 4⟧
DNI ⟦NATIONAL_ID:12345678Z⟧
DNI: ⟦NATIONAL_ID:12.345.678-Z⟧
Mi documento es ⟦NATIONAL_ID:87654321-X⟧.
NIE ⟦NATIONAL_ID:X1234567L⟧
Residente con ⟦NATIONAL_ID:Y-1234567-X⟧
Otro NIE: ⟦NATIONAL_ID:Z1234567R⟧
El titular, ⟦NATIONAL_ID:00000000T⟧, firma
María, ⟦NATIONAL_ID:12345678z⟧, ⟦EMAIL:maria@example.es⟧, ⟦PHONE:612 34 56 78⟧
Pedido 612345678 enviado
El 21/11/2026 a las 10:30 horas.
Factura 2026/000123 por 1.234,56 €
Cuesta 1.299,00 EUR, antes 1.499 euros
ISBN 978-84-376-0494-7 agotado
Versión 5.2.8 publicada
Código postal 28013 Madrid, piso 12
IP 192.0.2.44 bloqueada
Referencia 912345678 del catálogo
DNI 12345678A con letra errónea
NIE X1234567A no vale
IBAN ES91 2100 0418 4502 0005 1333 incorrecto
Tarjeta 4548 8100 0000 0004 rechazada
Subió un 12,5 % en 2026
De 09:00 - 14:00 y de 16.00 - 20.00
Hay 47.351.567 habitantes
Números 5 12 23 34 45 49 del sorteo
Expediente 123/2026, folio 45
Envío 612345678 en reparto
Latitud 40.416775, longitud -3.703790
"""

JAPANESE = """
メールは⟦EMAIL:taro.yamada@example.co.jp⟧へお願いします。
連絡先：⟦EMAIL:hanako@example.jp⟧
⟦EMAIL:info@example.com⟧までご連絡ください
宛先は「⟦EMAIL:a_b@mail.example.jp⟧」です
全角⟦EMAIL:ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ⟧も隠します
⟦EMAIL:a@example.jp⟧、⟦EMAIL:b@example.jp⟧
電話は⟦PHONE:03-1234-5678⟧です。
携帯⟦PHONE:090-1234-5678⟧にかけてください
TEL ⟦PHONE:０３－１２３４－５６７８⟧
⟦PHONE:(06) 6123-4567⟧が大阪です
フリーダイヤル⟦PHONE:0120-123-456⟧
海外からは⟦PHONE:+81 3 1234 5678⟧
国際電話 ⟦PHONE:+81-90-1234-5678⟧
携帯：⟦PHONE:08012345678⟧
代表 ⟦PHONE:052-123-4567⟧、FAX ⟦PHONE:052-123-4568⟧
⟦PHONE:010 81 3 1234 5678⟧ではなく直通で
カード番号は⟦CARD:4111 1111 1111 1111⟧です
⟦CARD:3530-1113-3330-0000⟧で支払いました
番号⟦CARD:５５５５５５５５５５５５４４４４⟧
カード⟦CARD:3530111333300000⟧が使えません
口座は⟦IBAN:DE89 3704 0044 0532 0130 00⟧です
送金先：⟦IBAN:GB82WEST12345698765432⟧
マイナンバーは⟦NATIONAL_ID:1234 5678 9018⟧です
個人番号：⟦NATIONAL_ID:987654321093⟧
マイナンバー ⟦NATIONAL_ID:5555-4444-3331⟧
私のマイナンバー（⟦NATIONAL_ID:１２３４５６７８９０１８⟧）を登録
山田太郎、⟦PHONE:090-1234-5678⟧、⟦EMAIL:taro@example.jp⟧
二回：⟦EMAIL:taro@example.jp⟧と⟦EMAIL:taro@example.jp⟧
お問い合わせは⟦PHONE:0570-012-345⟧まで
注文番号0312345678は発送済みです
2026年11月21日10時30分に開始
2026/11/21 10:30、会議室204
価格は1,234,567円、税込¥1,358,023
請求書番号 2026-000123
ISBN 978-4-10-101001-4 は在庫切れ
バージョン3.12.1と5.2.8
〒100-0001 東京都千代田区1-2-3
サーバー192.0.2.10が停止
追跡番号 1234-5678-9012
品番 AB-1234-567890
カード番号 4111 1111 1111 1112 は無効
マイナンバー 1234 5678 9019 は誤り
人口は1億2,345万6,789人
円周率は3.14159265
午前9:00-17:30まで営業
伝票0901234567の控え
12.5%増えました
第12章3節、図4.5
当選番号 5 12 23 34 45
2026-11-21から2026-12-24まで
JANコード 4901234567894 の商品
"""

LOCALES = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH, "ja": JAPANESE}


def _sample(locale: str, line: str) -> Sample:
    return Sample(locale, _MARK.sub(r"\2", line), tuple(_MARK.findall(line)))


SAMPLES = tuple(_sample(locale, line) for locale, lines in LOCALES.items() for line in lines.strip().splitlines())
